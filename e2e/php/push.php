<?php
// Pushes as the PHP back ends of web-msg-sender do, by its README's lines.
// Usage: php push.php URL HOW, the fields as JSON on standard input. HOW is array (multipart), query
// (http_build_query), get or json. Prints {"status","body"}.
[, $url, $how] = $argv;
$fields = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
$ch = curl_init();
curl_setopt($ch, CURLOPT_URL, $how === 'get' ? $url . '?' . http_build_query($fields) : $url);
curl_setopt($ch, CURLOPT_HEADER, 0);
curl_setopt($ch, CURLOPT_RETURNTRANSFER, 1);
switch ($how) {
    case 'array':
        curl_setopt($ch, CURLOPT_POST, 1);
        curl_setopt($ch, CURLOPT_POSTFIELDS, $fields);
        curl_setopt($ch, CURLOPT_HTTPHEADER, array("Expect:"));
        break;
    case 'query':
        curl_setopt($ch, CURLOPT_POST, 1);
        curl_setopt($ch, CURLOPT_POSTFIELDS, http_build_query($fields));
        break;
    case 'json':
        curl_setopt($ch, CURLOPT_POSTFIELDS, json_encode($fields));
        curl_setopt($ch, CURLOPT_HTTPHEADER, array('Content-Type: application/json'));
        break;
}
$body = curl_exec($ch);
if ($body === false) {
    fwrite(STDERR, curl_error($ch) . "\n");
    exit(1);
}
echo json_encode(['status' => curl_getinfo($ch, CURLINFO_RESPONSE_CODE), 'body' => $body]), "\n";
