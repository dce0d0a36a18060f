// Feed documents by name as JSON on the standard input; on the standard output what each reader makes of each.
import { json } from 'node:stream/consumers'
import FeedParser from 'feedparser'
import { parseFeed } from 'feedsmith'
import Parser from 'rss-parser'

const alternate = (links) => links?.find((link) => link.rel === 'alternate')?.href

function byFeedsmith(text) {
  const { feed } = parseFeed(text)
  return {
    language: feed.language ?? feed.xml?.lang,
    link: feed.home_page_url ?? feed.link ?? alternate(feed.links),
    items: (feed.entries ?? feed.items ?? []).map((item) => ({
      id: item.guid?.value ?? item.id,
      link: item.url ?? item.link ?? alternate(item.links),
      title: item.title?.value ?? item.title
    }))
  }
}

async function byRssParser(text) {
  const feed = await new Parser().parseString(text)
  const items = feed.items.map(({ guid, id, link, title }) => ({ id: guid ?? id, link, title }))
  return { language: feed.language, link: feed.link, items }
}

async function byFeedparser(text) {
  const parser = new FeedParser()
  parser.end(text)
  const items = []
  for await (const { guid, link, title } of parser) items.push({ id: guid, link, title })
  return { language: parser.meta.language, link: parser.meta.link, items }
}

const readers = { feedsmith: byFeedsmith, 'rss-parser': byRssParser, feedparser: byFeedparser }

const found = {}
for (const [name, text] of Object.entries(await json(process.stdin))) {
  found[name] = {}
  for (const [reader, read] of Object.entries(readers)) {
    // JSON Feed is known to feedsmith alone.
    if (reader === 'feedsmith' || !name.endsWith('.json')) found[name][reader] = await read(text)
  }
}
console.log(JSON.stringify(found))
