<?php
// Prints the golden vectors of escape_test.go: base64 of a string, a tab, base64 of what htmlspecialchars() makes of it.
// php -n testdata/htmlspecialchars.php > testdata/htmlspecialchars.txt
// With -i it reads base64 strings from standard input instead, one a line, and prints only what becomes of each.
ini_set('default_charset', 'UTF-8');

if (($argv[1] ?? '') === '-i') {
    while (($line = fgets(STDIN)) !== false) {
        echo base64_encode(htmlspecialchars(base64_decode($line))), "\n";
    }
    exit;
}

mt_srand(2120);
$strings = ['', '<b>&amp;\'"</b>', '中文é😀', "a\0b\t\r\n\x7f", "\xef\xbf\xbd", "\xe2\x80\xa8", "\xef\xbb\xbfx", '&#039;', '\\"'];

// Every first byte, alone, cut short, and before what cannot follow it.
for ($c = 0x80; $c <= 0xff; $c++) {
    $strings[] = chr($c);
    $strings[] = 'a' . chr($c) . '<';
    $strings[] = chr($c) . "\x80&" . chr($c) . "\x80\x80\"" . chr($c) . "\x80\x80\x80'";
}
// Overlong forms, surrogates, what lies above U+10FFFF, and the valid neighbours of each.
foreach (["\xc0\x80", "\xc1\xbf", "\xc2\x80", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xed\xa0\x80",
          "\xed\xbf\xbf", "\xee\x80\x80", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff"] as $s) {
    for ($n = 1; $n <= strlen($s); $n++) {
        $strings[] = substr($s, 0, $n);
        $strings[] = substr($s, 0, $n) . '>' . $s . substr($s, 0, $n) . '中';
    }
}
// Mixtures.
$pieces = ['<', '>', '&', '"', "'", 'a', '/', '\\', "\n", "\0", 'é', '中', '😀', "\x80", "\xbf", "\xc0", "\xc2", "\xdf", "\xe0",
           "\xe1", "\xed", "\xa0", "\x9f", "\xef", "\xf0", "\xf1", "\xf4", "\x90", "\x8f", "\xf5", "\xff", '&amp;', '&lt'];
while (count($strings) < 900) {
    $s = '';
    for ($n = mt_rand(1, 16); $n > 0; $n--) {
        $s .= mt_rand(0, 3) ? $pieces[mt_rand(0, count($pieces) - 1)] : chr(mt_rand(0, 255));
    }
    $strings[] = $s;
}
foreach ($strings as $s) {
    echo base64_encode($s), "\t", base64_encode(htmlspecialchars($s)), "\n";
}
