<?php
// Holds one connection to Crier open, for a worker that pushes a lot: php link.php reads a push a line, as POST /v1/push takes
// them, and prints an answer a line. CRIER_ADDRESS is tcp://127.0.0.1:2121 unless set (or ssl://…), CRIER_KEY a key of api.keys.
declare(strict_types=1);

final class CrierLink
{
    private $stream = null; // the connection, when there is one

    public function __construct(private string $address, private string $key = '', private int $timeout = 5) {}

    /** Pushes one message and returns Crier's answer to it: a result, or a problem with its "code". */
    public function push(array $message): array
    {
        $message += ['id' => bin2hex(random_bytes(16))]; // so that it is pushed once, even if it is sent again
        $line = json_encode($message, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION) . "\n";
        $chunk = dechex(strlen($line)) . "\r\n$line\r\n";
        for ($try = 1; $try <= 2; $try++, $this->stream = null) { // the link may have ended since the last one
            $this->stream ??= $this->open();
            if (@fwrite($this->stream, $chunk) === strlen($chunk) && $answer = $this->line()) {
                return json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
            }
        }
        throw new RuntimeException("Crier at $this->address does not answer");
    }

    private function line(): ?string // of the answer's body, which comes in chunks, too; null if the link has ended
    {
        for ($line = ''; !str_ends_with($line, "\n"); $line .= substr($chunk, 0, $size)) {
            $size = hexdec(trim((string) fgets($this->stream)));
            $chunk = (string) stream_get_contents($this->stream, $size + 2);
            if ($size === 0 || strlen($chunk) < $size + 2) {
                return null;
            }
        }
        return $line;
    }

    /** Sends the beginning of POST /v1/push/batch; its body stays open, one chunk a line. */
    private function open()
    {
        $stream = @stream_socket_client($this->address, $errno, $error, $this->timeout)
            ?: throw new RuntimeException("Crier at $this->address cannot be reached: $error");
        stream_set_timeout($stream, $this->timeout);
        fwrite($stream, "POST /v1/push/batch HTTP/1.1\r\nHost: " . parse_url($this->address, PHP_URL_HOST) . "\r\n"
            . "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
            . ($this->key === '' ? '' : "Authorization: Bearer $this->key\r\n") . "\r\n");
        $status = (string) fgets($stream);
        while (!in_array(fgets($stream), ["\r\n", false], true)); // the other headers
        if (!str_contains($status, ' 200 ')) {
            throw new RuntimeException('Crier refused the link: ' . trim($status) . ' ' . fgets($stream));
        }
        return $stream;
    }
}

$link = new CrierLink(getenv('CRIER_ADDRESS') ?: 'tcp://127.0.0.1:2121', getenv('CRIER_KEY') ?: '');
while (($line = fgets(STDIN)) !== false) {
    echo json_encode($link->push((array) json_decode($line, flags: JSON_THROW_ON_ERROR))), "\n";
}
