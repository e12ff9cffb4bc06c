<?php
// web-msg-sender as it is, on other ports.
//
//   php start.php CHECKOUT --port N --push-port N      php start.php CHECKOUT --version
//
// CHECKOUT is a clone of walkor/web-msg-sender in which `composer install` has been run.
$checkout = realpath($argv[1] ?? '') ?: exit("where is the checkout of web-msg-sender?\n");
if (!is_file("$checkout/vendor/autoload.php")) {
    fwrite(STDERR, "run composer install in $checkout first\n");
    exit(1);
}
if (in_array('--version', $argv)) {
    require "$checkout/vendor/autoload.php";
    $of = fn ($package) => $package . ' ' . Composer\InstalledVersions::getPrettyVersion($package);
    echo $of('workerman/phpsocket.io'), ', ', $of('workerman/workerman'), ', PHP ', PHP_VERSION, "\n";
    exit;
}
$ports = ['2120' => $argv[array_search('--port', $argv) + 1], '0.0.0.0:2121' => '127.0.0.1:' . $argv[array_search('--push-port', $argv) + 1]];
$argv = $_SERVER['argv'] = ['start_io.php', 'start'];
eval('?>' . strtr(file_get_contents("$checkout/start_io.php"), $ports + ['__DIR__' => var_export($checkout, true)]));
