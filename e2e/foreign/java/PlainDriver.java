import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.net.URLEncoder;
import java.util.HashMap;
import java.util.Map;
import org.java_websocket.client.WebSocketClient;
import org.java_websocket.handshake.ServerHandshake;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Opens plain WebSockets with Java-WebSocket: the commands and the output of clients/plain.mjs, of which it knows the kind
 * ws. Each comes back by itself, after the last message that it has got.
 */
public final class PlainDriver {
  private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), true);

  private final Map<String, Client> clients = new HashMap<>();

  public static void main(String[] args) throws Exception {
    PlainDriver driver = new PlainDriver();
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line; (line = commands.readLine()) != null; ) {
      driver.run(new JSONObject(line));
    }
    System.exit(0); // whatever the clients' threads do
  }

  private void run(JSONObject command) throws Exception {
    switch (command.getString("do")) {
      case "open":
        String id = command.getString("id");
        String url = command.getString("url").replaceFirst("^http", "ws") + "/ws?" + command.getString("query") + "&after=";
        Client client = new Client(id, url);
        clients.put(id, client);
        client.begin("");
        break;
      case "send":
        clients.get(command.getString("id")).socket.send(command.getString("text"));
        break;
      case "forget":
        for (Client one : clients.values()) {
          one.over = true;
          one.socket.close();
        }
        clients.clear();
        break;
      default:
        throw new IllegalArgumentException(command.toString());
    }
  }

  private static void tell(JSONObject happening) throws JSONException {
    // Without what is not ASCII, whatever the platform writes.
    StringBuilder line = new StringBuilder();
    for (char c : happening.toString().toCharArray()) {
      line.append(c < 128 ? String.valueOf(c) : String.format("\\u%04x", (int) c));
    }
    synchronized (OUT) {
      OUT.println(line);
    }
  }

  private static final class Client {
    final String id;
    final String url;
    volatile WebSocketClient socket;
    volatile boolean over;

    Client(String id, String url) {
      this.id = id;
      this.url = url;
    }

    void begin(String after) throws Exception {
      socket = new WebSocketClient(new URI(url + URLEncoder.encode(after, "UTF-8"))) {
        private String last = after;

        @Override
        public void onOpen(ServerHandshake handshake) {
          report(new HashMap<>(Map.of("id", id, "on", "open")));
        }

        @Override
        public void onMessage(String text) {
          try {
            JSONObject message = new JSONObject(text);
            last = message.optString("id", last);
            if (message.has("event") && message.has("ack")) {
              send(new JSONObject().put("ack", message.get("ack")).put("args", new JSONArray().put("from " + id)).toString());
            }
            if (message.optString("event").equals("ready")) {
              return;
            }
            tell(new JSONObject().put("id", id).put("on", "message").put("mid", message.optString("id"))
                .put("event", message.optString("event")).put("args", message.get("args")));
          } catch (JSONException e) {
            throw new IllegalStateException(e);
          }
        }

        @Override
        public void onClose(int code, String reason, boolean remote) {
          if (over) {
            return;
          }
          report(new HashMap<>(Map.of("id", id, "on", "closed", "code", code, "reason", reason)));
          try {
            Thread.sleep(200);
            begin(last);
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        }

        @Override
        public void onError(Exception e) {} // onClose follows
      };
      socket.connect();
    }

    private void report(Map<String, Object> happening) {
      try {
        tell(new JSONObject(happening));
      } catch (JSONException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
