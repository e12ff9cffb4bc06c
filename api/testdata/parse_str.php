<?php
// Reads base64 query strings from standard input, one a line, and prints what parse_str() makes of the four variables of
// the legacy form, as JSON: null if unset, a base64 string, a list of them, or false for an array within an array.
while (($line = fgets(STDIN)) !== false) {
    parse_str(base64_decode($line), $all);
    $out = ['any' => count($all) > 0];
    foreach (['type', 'to', 'content', 'key'] as $name) {
        $v = $all[$name] ?? null;
        if (is_string($v)) {
            $v = base64_encode($v);
        } elseif (is_array($v)) {
            $v = array_filter($v, 'is_array') ? false : array_map('base64_encode', array_values($v));
        }
        $out[$name] = $v;
    }
    echo json_encode($out), "\n";
}
