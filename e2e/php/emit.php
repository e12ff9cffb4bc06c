<?php
// Emits through Redis as PHP's emitters do, with the extensions redis and msgpack.
// Usage: php emit.php HOST PORT FORM, on standard input {"rooms","flags","event","args"}. FORM is old (an array of two in
// socket.io#emitter), new (of three, in the channel of the namespace and of the one room) or each (a copy for each room).
// An argument may be {"$binary":"<base64>"}. Prints {"receivers":N}: how many are subscribed to it.
[, $host, $port, $form] = $argv;
$in = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
$data = array_map(fn ($arg) => isset($arg['$binary']) ? base64_decode($arg['$binary']) : $arg, $in['args']);
$packet = ['type' => 2, 'data' => array_merge([$in['event']], $data), 'nsp' => '/'];
$options = ['rooms' => $in['rooms'], 'flags' => $in['flags']];

$redis = new Redis();
$redis->connect($host, (int) $port);
$channel = 'socket.io#/#';
switch ($form) {
    case 'old':
        $receivers = $redis->publish('socket.io#emitter', msgpack_pack([$packet, $options]));
        break;
    case 'new':
        if (count($in['rooms']) === 1) {
            $channel .= $in['rooms'][0] . '#';
        }
        $receivers = $redis->publish($channel, msgpack_pack(['emitter', $packet, $options]));
        break;
    case 'each':
        foreach ($in['rooms'] as $room) {
            $receivers = $redis->publish($channel . $room . '#', msgpack_pack(['emitter', $packet, $options]));
        }
        break;
}
echo json_encode(['receivers' => $receivers]), "\n";
