// Receives Crier's callbacks: java Callback.java, and crier --webhook.url http://127.0.0.1:8000/
// CRIER_WEBHOOK_SECRET is one of Crier's webhook.secrets (whsec_…), PORT where to listen.
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Callback {
    private static final SecretKeySpec KEY = new SecretKeySpec( // which is not empty, or anybody could sign
            Base64.getDecoder().decode(System.getenv("CRIER_WEBHOOK_SECRET").replaceFirst("^whsec_", "")), "HmacSHA256");

    /** Whether Crier signed these very bytes, and in the last five minutes (standardwebhooks.com). */
    static boolean genuine(Headers headers, byte[] body) throws GeneralSecurityException {
        String id = headers.getFirst("webhook-id"), timestamp = headers.getFirst("webhook-timestamp");
        String signatures = headers.getFirst("webhook-signature"); // several, while webhook.secrets change
        boolean lately = id != null && signatures != null && timestamp != null && timestamp.matches("\\d{1,12}")
                && Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) <= 300;
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(KEY);
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] want = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
        return lately && Arrays.stream(signatures.split(" "))
                .anyMatch(given -> MessageDigest.isEqual(want, given.getBytes(StandardCharsets.UTF_8)));
    }

    static void receive(HttpExchange exchange) throws IOException {
        try (exchange) {
            byte[] body = exchange.getRequestBody().readNBytes(65536);
            String event = new String(body, StandardCharsets.UTF_8); // a client.event is what a browser says: for forward.url
            int status = !genuine(exchange.getRequestHeaders(), body) ? 401 : event.contains("\"type\":\"client.event\"") ? 404 : 204;
            if (status == 204) { // It comes until it is answered by 2xx, even twice. Make one quick statement that does not mind:
                // UPDATE users SET online = ?, version = ? WHERE uid = ? AND version < ?, by your JSON library.
                System.out.println(event);
            }
            exchange.getResponseHeaders().set("Connection", status != 401 ? "keep-alive" : "close"); // there may be an unread body
            exchange.sendResponseHeaders(status, -1);
        } catch (GeneralSecurityException e) {
            throw new IOException(e); // no answer: Crier tries again
        }
    }

    public static void main(String[] args) throws IOException {
        System.setProperty("sun.net.httpserver.maxReqTime", "10");
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8000"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Callback::receive);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
        System.out.println("listening on http://127.0.0.1:" + server.getAddress().getPort() + "/");
    }
}
