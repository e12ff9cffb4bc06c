<?php
// Pushes to the URL in the first argument the ways that callers of web-msg-sender do, and prints name, status and answer of each.
// The second argument is the number of bytes of a large content.
function push(string $name, string $url, $fields, array $headers = []): void
{
    $ch = curl_init($url);
    if ($fields !== null) {
        curl_setopt($ch, CURLOPT_POST, 1);
        curl_setopt($ch, CURLOPT_POSTFIELDS, $fields);
    }
    curl_setopt($ch, CURLOPT_HEADER, 0);
    curl_setopt($ch, CURLOPT_RETURNTRANSFER, 1);
    curl_setopt($ch, CURLOPT_TIMEOUT, 20);
    curl_setopt($ch, CURLOPT_HTTPHEADER, $headers);
    $answer = curl_exec($ch);
    if ($answer === false) {
        $answer = curl_error($ch);
    }
    echo $name, "\t", curl_getinfo($ch, CURLINFO_RESPONSE_CODE), "\t", $answer, "\n";
    curl_close($ch);
}

$url = $argv[1];
$text = "<中文é😀> & 'x' \"y\" = 100%+1";
$fields = ['type' => 'publish', 'to' => 'u1', 'content' => $text];
push('array', $url, $fields);
push('urlencoded', $url, http_build_query($fields));
push('query', $url . '/?' . http_build_query($fields), null);
push('json', $url, json_encode($fields), ['Content-Type: application/json']);
push('expect', $url, $fields, ['Expect: 100-continue']);
push('users in an array', $url, ['type' => 'publish', 'to[0]' => 'u1', 'to[1]' => 'u2', 'content' => $text]);
push('users urlencoded', $url, http_build_query(['to' => ['u1', 'u2']] + $fields));
push('large', $url, ['content' => str_repeat('<', (int) $argv[2])] + $fields);
push('too large', $url, ['content' => str_repeat('x', 3 * (int) $argv[2])] + $fields);
