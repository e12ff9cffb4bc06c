<?php
// Pushes strings that are hard to escape, and prints what this PHP's htmlspecialchars makes of each, in
// base64, one a line. Usage: php escape.php URL UID COUNT. The strings are the same each time.
[, $url, $uid, $count] = $argv;
mt_srand(20110102);
$pieces = [
    '&', '<', '>', '"', "'", '&amp;', '&#039;', '&lt', "\0", "\x01", "\x7f", "\r\n", "\t", ' ', 'a', '/', '\\', '@', ';',
    '中', '文', 'é', '😀', "\u{2028}", "\u{FFFD}", "\u{10FFFF}", "\u{FEFF}", "\u{FFFE}",
    // Invalid UTF-8: lone continuations, cut sequences, overlong ones, surrogates, beyond U+10FFFF.
    "\x80", "\xbf", "\xc3", "\xe4", "\xe4\xb8", "\xf0\x9f", "\xf0\x9f\x98", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf",
    "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80",
    "\xfe", "\xff",
];
$ch = curl_init($url);
curl_setopt($ch, CURLOPT_RETURNTRANSFER, 1);
for ($n = 0; $n < $count; $n++) {
    $content = '';
    for ($length = mt_rand(0, 12); $length > 0; $length--) {
        $content .= mt_rand(0, 4) > 0 ? $pieces[mt_rand(0, count($pieces) - 1)] : chr(mt_rand(0, 255));
    }
    $fields = ['type' => 'publish', 'to' => $uid, 'content' => $content];
    curl_setopt($ch, CURLOPT_POSTFIELDS, $n % 2 ? $fields : http_build_query($fields));
    $body = curl_exec($ch);
    if ($body !== 'ok') {
        fwrite(STDERR, 'the push of ' . bin2hex($content) . ' was answered ' . var_export($body, true) . curl_error($ch) . "\n");
        exit(1);
    }
    echo base64_encode(htmlspecialchars($content)), "\n";
}
