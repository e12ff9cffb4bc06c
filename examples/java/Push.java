// Pushes an event to a user: java Push.java UID EVENT JSON
// CRIER_URL is Crier's push port, http://127.0.0.1:2121 unless set; CRIER_KEY a key of api.keys, if one is needed.
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;

public class Push {
    private static final Map<String, String> ENV = System.getenv();
    private static final URI ADDRESS = URI.create(ENV.getOrDefault("CRIER_URL", "http://127.0.0.1:2121") + "/v1/push");
    private static final HttpClient CLIENT = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(2)).build();

    /** Sends an event with JSON data to a user and returns {"id","matched":{"users","connections"},…}. */
    public static String push(String uid, String event, String data) throws IOException, InterruptedException {
        // The id makes it harmless to try again: the same id is pushed once.
        String body = "{\"id\":\"%s\",\"to\":{\"users\":[%s]},\"event\":%s,\"data\":%s}"
                .formatted(UUID.randomUUID(), quote(uid), quote(event), data);
        HttpRequest.Builder request = HttpRequest.newBuilder(ADDRESS).timeout(Duration.ofSeconds(5))
                .header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body));
        if (ENV.containsKey("CRIER_KEY")) {
            request.header("Authorization", "Bearer " + ENV.get("CRIER_KEY"));
        }
        for (int tries = 3;; Thread.sleep(1000)) { // as Retry-After, or longer
            try {
                HttpResponse<String> response = CLIENT.send(request.build(), BodyHandlers.ofString());
                int status = response.statusCode();
                if (status == 200) {
                    return response.body();
                } else if (--tries == 0 || status != 429 && status != 503) {
                    throw new IllegalStateException(status + ": " + response.body()); // {"code","detail",…}; code never changes
                }
            } catch (IOException e) {
                if (--tries == 0) {
                    throw e;
                }
            }
        }
    }

    /** Or use your JSON library, for the whole message. */
    private static String quote(String text) {
        StringBuilder json = new StringBuilder("\"");
        text.chars().forEach(c -> json.append(c < ' ' || c == '"' || c == '\\' ? "\\u%04x".formatted(c) : (char) c));
        return json.append('"').toString();
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 3) {
            throw new IllegalArgumentException("usage: java Push.java UID EVENT JSON");
        }
        System.out.println(push(args[0], args[1], args[2]));
    }
}
