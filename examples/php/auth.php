<?php
// Says who a browser's connection is, by the session of your site (auth.mode callback). A page needs no token: the browser
// sends the cookie along, to any port of the host (with {withCredentials: true} in io's options). Put it and signature.php
// where your web server runs PHP, and set auth.callback.url to its address. To try: php -S 127.0.0.1:8000 auth.php, and
// crier --auth.mode callback --auth.callback.url http://127.0.0.1:8000/
declare(strict_types=1);

require __DIR__ . '/signature.php';

$question = json_decode(signed_body(), true, flags: JSON_THROW_ON_ERROR); // uid?, token?, headers, query, ip
$uid = session_uid($question['headers']['cookie'] ?? '');
if ($uid === null) {
    http_response_code(401);
    exit;
}
header('Content-Type: application/json');
// Crier refuses a page that logs in as somebody else. At expires the connection ends, and the page comes back and is asked
// after again: a logout takes that long to have its effect.
echo json_encode(['uid' => $uid, 'expires' => time() + 300]);

/** The user, as your login put it into $_SESSION['uid'], of the session that a Cookie header names; null if there is none. */
function session_uid(string $cookies): ?string
{
    foreach (explode('; ', $cookies) as $cookie) {
        [$name, $id] = explode('=', $cookie, 2) + ['', ''];
        if ($name !== session_name() || !preg_match('/^[A-Za-z0-9,-]{22,256}$/D', $id)) {
            continue;
        }
        session_id($id);
        session_start(['use_cookies' => false, 'use_strict_mode' => true, 'read_and_close' => true]);
        return isset($_SESSION['uid']) ? (string) $_SESSION['uid'] : null;
    }
    return null;
}
