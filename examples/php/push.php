<?php
// Pushes an event to a user: php push.php UID EVENT JSON
//
// CRIER_URL is Crier's push port, http://127.0.0.1:2121 unless set; CRIER_KEY a key of api.keys, if one is needed.
declare(strict_types=1);

/** Crier refused the push. $name never changes from release to release; the message is for people. */
final class PushException extends RuntimeException
{
    public function __construct(public readonly string $name, string $detail)
    {
        parent::__construct("$name: $detail");
    }
}

/** Returns ['id' => …, 'matched' => ['users' => …, 'connections' => …], …]. */
function crier_push(array $uids, string $event, mixed $data, int $tries = 3): array
{
    // The id makes it harmless to try again: the same id is pushed once.
    $message = ['id' => bin2hex(random_bytes(16)), 'to' => ['users' => $uids], 'event' => $event, 'data' => $data];
    $headers = ['Content-Type: application/json', 'Expect:'];
    if ($key = getenv('CRIER_KEY')) {
        $headers[] = "Authorization: Bearer $key";
    }
    $ch = curl_init((getenv('CRIER_URL') ?: 'http://127.0.0.1:2121') . '/v1/push');
    curl_setopt_array($ch, [
        CURLOPT_POSTFIELDS => json_encode($message, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION),
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 2,
        CURLOPT_TIMEOUT => 5,
    ]);
    for (;; sleep(1)) { // as Retry-After, or longer
        $body = curl_exec($ch);
        $status = curl_getinfo($ch, CURLINFO_RESPONSE_CODE);
        if (--$tries > 0 && ($body === false || $status === 429 || $status === 503)) {
            continue;
        }
        if ($body === false) {
            throw new PushException('unreachable', curl_error($ch));
        }
        $answer = json_decode($body, true) ?? []; // a proxy's error is not JSON
        if ($status === 200) {
            return $answer;
        }
        throw new PushException($answer['code'] ?? "http_$status", $answer['detail'] ?? 'no details');
    }
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    try {
        [, $uid, $event, $json] = $argc === 4 ? $argv : throw new PushException('usage', 'php push.php UID EVENT JSON');
        echo json_encode(crier_push([$uid], $event, json_decode($json, flags: JSON_THROW_ON_ERROR))), "\n";
    } catch (PushException | JsonException $e) {
        fwrite(STDERR, "push: {$e->getMessage()}\n");
        exit(1);
    }
}
