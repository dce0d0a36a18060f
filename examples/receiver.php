<?php // DIGLOT_SECRET=whsec_... php -d display_errors=0 -S 127.0.0.1:9000 receiver.php
declare(strict_types=1);
ini_set('display_errors', '0'); // PHP answers 200 where it shows an error, and the message would be lost
const MAX_BYTES = 8 * 1024 * 1024, TOLERANCE_SECONDS = 300;

function is_genuine(string $id, string $sent_at, string $signatures, string $body): bool
{
    if (abs(time() - (int) $sent_at) > TOLERANCE_SECONDS) {
        return false;
    }
    $key = base64_decode(explode('whsec_', getenv('DIGLOT_SECRET'))[1]);
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$sent_at.$body", $key, true));
    return array_filter(explode(' ', $signatures), fn ($given) => hash_equals($expected, $given)) !== [];
}

function keep(string $id, string $body): int
{
    $inbox = getenv('DIGLOT_INBOX') ?: 'php://stdout';
    $seen = fopen((getenv('DIGLOT_INBOX') ?: sys_get_temp_dir() . '/diglot') . '.ids', 'c+');
    flock($seen, LOCK_EX); // on your site: a unique key in the database
    if (!in_array($id, explode("\n", stream_get_contents($seen)), true)) {
        $message = ['id' => $id, ...get_object_vars(json_decode($body, flags: JSON_THROW_ON_ERROR))];
        $line = json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE) . "\n";
        if (file_put_contents($inbox, $line, FILE_APPEND) !== strlen($line) || !fwrite($seen, "$id\n")) {
            throw new RuntimeException("$id could not be kept");
        }
    }
    return 204;
}

$header = fn (string $name): string => $_SERVER["HTTP_WEBHOOK_$name"] ?? '';
$body = file_get_contents('php://input');
http_response_code(match (true) {
    $_SERVER['REQUEST_METHOD'] !== 'POST' => 405,
    (int) ($_SERVER['CONTENT_LENGTH'] ?? PHP_INT_MAX) > MAX_BYTES => 413,
    !is_genuine($header('ID'), $header('TIMESTAMP'), $header('SIGNATURE'), $body) => 401,
    default => keep($header('ID'), $body),
});
