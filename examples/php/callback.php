<?php
// Receives Crier's callbacks: user.online and user.offline. Put it and signature.php where your web server runs PHP, and set
// webhook.url to its address. To try: php -S 127.0.0.1:8000 callback.php, and crier --webhook.url http://127.0.0.1:8000/
declare(strict_types=1);

require __DIR__ . '/signature.php';

$event = json_decode(signed_body(), true, flags: JSON_THROW_ON_ERROR);
if ($event['type'] === 'client.event') { // what a browser says, of forward.events: forward.url is the place for it
    http_response_code(404);
    exit;
}
['uid' => $uid, 'version' => $version] = $event['data'];

// A callback comes again until it is answered by 2xx, so it can come twice, always with the same webhook-id, and the version
// of a user only grows. Make one quick statement of it that does not mind:
//
//     $db->prepare('UPDATE users SET online = ?, version = ? WHERE uid = ? AND version < ?')
//        ->execute([(int) ($event['type'] === 'user.online'), $version, $uid, $version]);
//
// If that throws, PHP answers 500 and Crier tries again. What takes longer belongs into a queue.
file_put_contents('php://stderr', "{$event['type']} $uid $version\n");
http_response_code(204);
