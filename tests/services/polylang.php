<?php
// A stand-in for Polylang Pro: what it documents of its REST interface (polylang.pro/doc/rest-api), and no more.
add_action('rest_api_init', function () {
    register_rest_route('pll/v1', '/languages', [
        'methods' => 'GET', 'permission_callback' => '__return_true',
        'callback' => fn() => [['slug' => 'en', 'locale' => 'en_US'], ['slug' => 'zh', 'locale' => 'zh_CN']],
    ]);
    register_rest_field('post', 'lang', [
        'get_callback' => fn($post) => get_post_meta($post['id'], 'lang', true),
        'update_callback' => fn($value, $post) => update_post_meta($post->ID, 'lang', $value),
        'schema' => ['type' => 'string', 'enum' => ['en', 'zh']],
    ]);
    register_rest_field('post', 'translations', [
        'get_callback' => fn($post) => (object) (get_post_meta($post['id'], 'translations', true) ?: []),
        'update_callback' => function ($value, $post) {
            foreach ($value as $slug => $id) {
                // "You must first make sure that the post is in English."
                if (get_post_meta($id, 'lang', true) !== $slug) return new WP_Error('rest_invalid_param', 'wrong language');
            }
            foreach ($value as $id) update_post_meta($id, 'translations', $value);
        },
        'schema' => ['type' => 'object'],
    ]);
});
