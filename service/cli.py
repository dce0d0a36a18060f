"""The `diglot` command: run the service, prepare the database, make and revoke API keys."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit
from uuid import UUID

import click

from service import keys, supervisor
from service.clock import utc_now
from service.config import Profile, Settings, load_profile, read_settings
from service.errors import ConfigurationError, DiglotError, Invalid
from service.messages import say
from service.model import Role
from service.publishing import publish_due
from service.storage import Storage, resealing
from service.storage import keys as stored
from service.vault import open_vault


@click.group()
@click.version_option(package_name="diglot")
def diglot() -> None:
    """A bilingual press wire."""


@diglot.command()
def run() -> None:
    """Start web, worker, beat and, unless DIGLOT_REDIS_URL is set, a broker. Ctrl-C stops it."""
    settings = read_settings()
    profile = load_profile(settings.profile_path)
    status = supervisor.run(
        settings, os.environ, prepare=lambda: prepare(settings, profile), announce=lambda: _announce(settings)
    )
    sys.exit(status)


@diglot.command()
def migrate() -> None:
    """Bring the database to the newest form, make the first admin key and the first feeds."""
    settings = read_settings()
    prepare(settings, load_profile(settings.profile_path))


def prepare(settings: Settings, profile: Profile) -> None:
    """All that must stand before the first request; harmless to repeat."""
    storage = Storage(settings.database_url, vault=open_vault(settings))
    storage.migrate()
    made = keys.ensure_admin(storage, settings.admin_key, utc_now())
    publish_due(storage, profile, utc_now)
    hint = find_secrets_hint(storage)
    storage.close()
    if hint:
        click.echo(f"  {hint}", err=True)
    _greet(settings, profile, made)


def find_port_hint(base_url: str, port: int) -> str | None:
    """What to say where the newsroom's address is this machine, yet another port than the one that listens."""
    parts = urlsplit(base_url)
    if parts.hostname not in ("127.0.0.1", "::1", "localhost") or (parts.port or 80) == port:
        return None
    return (
        f"Careful: the newsroom profile says {base_url}, but this listens on port {port}, so these addresses lead "
        f"elsewhere. Write port {port} into the profile's base_url, or set DIGLOT_PORT={parts.port or 80}."
    )


def _greet(settings: Settings, profile: Profile, made: str | None) -> None:
    click.echo(f"Diglot publishes {profile.base_url}/ and keeps its data in {settings.data_dir}")
    if hint := find_port_hint(profile.base_url, settings.port):
        click.echo(f"  {hint}", err=True)
    for language in profile.languages:
        click.echo(f"  {language.name}: {profile.list_url(language)}  {profile.feed_address(language)}.atom|.rss|.json")
    click.echo(f"  API: {profile.base_url}/docs/")
    if made:
        click.echo(f"  Your first API key, shown only this once: {made}")


def _announce(settings: Settings) -> None:
    click.echo(f"Ready: listening on {supervisor.HOST}:{settings.port}. Ctrl-C stops it.")


def find_secrets_hint(storage: Storage) -> str | None:
    """What to say where secrets are stored that the first key did not seal."""
    if lost := resealing.count_lost(storage):
        return (
            f"Careful: {lost} stored secrets were sealed with a key that is missing, so that nothing can be sent with "
            "them. Put that key back into DIGLOT_SECRET_KEY or the file secret.key, after the first one."
        )
    if stale := resealing.count_stale(storage):
        return f"{stale} stored secrets are not sealed with the newest key: run `diglot rotate-secrets`."
    return None


@diglot.command("rotate-secrets")
def rotate_secrets() -> None:
    """Seal every stored secret with the first key of DIGLOT_SECRET_KEY. May be stopped, and run again to go on."""
    settings = read_settings()
    storage = Storage(settings.database_url, vault=open_vault(settings))
    sealed = lost = 0
    with click.progressbar(length=resealing.count_stale(storage), label="Sealing") as bar:
        for batch in resealing.reseal(storage):
            sealed, lost = sealed + batch.sealed, lost + batch.lost
            bar.update(batch.sealed + batch.lost)
    click.echo(f"{sealed} secrets are sealed with the newest key now.")
    if not storage.compact():
        raise ConfigurationError(
            reason="the database is in use, so that its file may still hold secrets as they were: please run this again"
        )
    if lost:
        raise ConfigurationError(reason=f"{lost} could not be opened: the key that sealed them is missing")


@diglot.group("keys")
def key_commands() -> None:
    """API keys."""


@key_commands.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--partner", help="Whose subscriptions a partner key manages.")
def create_key(name: str, role: str, partner: str | None) -> None:
    """Make a key for NAME, who or what will use it, and show it this once."""
    if (role == Role.PARTNER) != (partner is not None):
        raise click.UsageError("--partner goes with --role partner, and only with it")
    keys.validate_key({"name": name, "role": role} | ({} if partner is None else {"partner": partner}))
    _, plain = keys.make_key(_storage(), name, Role(role), utc_now(), partner)
    click.echo(plain)


@key_commands.command("list")
def list_keys() -> None:
    """Show every key that was made, newest first, without the keys themselves."""
    with _storage().read() as tx:
        found = stored.list_keys(tx, limit=1000)
    for key in found:
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "live"
        click.echo(f"{key.id}  {key.role:8}{state:26}{key.name}{f' ({key.partner})' if key.partner else ''}")


@key_commands.command("revoke")
@click.argument("key_id", type=click.UUID)
def revoke_key(key_id: UUID) -> None:
    """End the key with the id KEY_ID, which `diglot keys list` shows, at once."""
    keys.revoke_key(_storage(), key_id, utc_now())
    click.echo("The key is revoked: what is sent with it is refused from now on.")


def _storage() -> Storage:
    return Storage(read_settings().database_url)


def _explain(error: DiglotError) -> str:
    if isinstance(error, Invalid):
        told = (f"{fault.pointer} {say('en', f'fault.{fault.code}', **fault.params)}" for fault in error.faults)
        return "; ".join(told)
    return str(error.params.get("reason") or say("en", f"problem.{error.code}.detail", **error.params))


def main() -> None:
    """The entry point: what went wrong is said in a line, never as a traceback."""
    # All that this and its children write is for this user alone.
    os.umask(0o077)
    try:
        diglot()
    except DiglotError as error:
        click.echo(f"diglot: {_explain(error)}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"diglot: {error}", err=True)
        sys.exit(1)
