<?php
// Who called: for callback.php and auth.php.
declare(strict_types=1);

/**
 * Returns the body of this request if Crier signed these very bytes, and lately (standardwebhooks.com); answers and exits if
 * not. CRIER_WEBHOOK_SECRET is one of Crier's webhook.secrets (whsec_…), from the environment: SetEnv in Apache, env[] in
 * php-fpm.
 */
function signed_body(int $tolerance = 300): string
{
    $secret = (string) getenv('CRIER_WEBHOOK_SECRET');
    $key = base64_decode(substr($secret, strlen('whsec_')), true);
    if (!str_starts_with($secret, 'whsec_') || !$key) { // without a key anybody could sign
        error_log('CRIER_WEBHOOK_SECRET has to be whsec_ and base64');
        http_response_code(500);
        exit;
    }
    $body = file_get_contents('php://input', length: 65536);
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    $genuine = false;
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) { // several, while webhook.secrets change
        $genuine = hash_equals($want, $given) || $genuine;
    }
    if (!$genuine || !ctype_digit($timestamp) || abs(time() - (int) $timestamp) > $tolerance) {
        http_response_code(401);
        exit;
    }
    return $body;
}
