import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Manager;
import io.socket.client.Socket;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Opens Socket.IO connections with the official client for Java: commands on standard input and what happens on
 * standard output, a JSON object a line, as clients/sockets.mjs says. Of the options it knows transports,
 * reconnectionDelay and reconnectionDelayMax.
 */
public final class Driver {
  private static final PrintStream OUT = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true);

  private final Map<String, Socket> sockets = new HashMap<>();

  public static void main(String[] args) throws Exception {
    Driver driver = new Driver();
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line; (line = commands.readLine()) != null; ) {
      driver.run(new JSONObject(line));
    }
    System.exit(0); // whatever the clients' threads do
  }

  private void run(JSONObject command) throws Exception {
    String id = command.optString("id");
    switch (command.getString("do")) {
      case "open":
        open(id, command);
        break;
      case "emit":
        emit(id, command.getString("event"), list(command.optJSONArray("args")), command.optString("ack"));
        break;
      case "close":
        sockets.get(id).close();
        break;
      case "forget":
        for (Socket socket : sockets.values()) {
          socket.io().reconnection(false);
          socket.close();
        }
        sockets.clear();
        break;
      default:
        throw new IllegalArgumentException(command.toString());
    }
  }

  private void open(String id, JSONObject command) throws Exception {
    IO.Options options = new IO.Options();
    options.forceNew = true;
    JSONObject given = command.getJSONObject("options");
    options.reconnectionDelay = given.getLong("reconnectionDelay");
    options.reconnectionDelayMax = given.getLong("reconnectionDelayMax");
    JSONArray transports = given.optJSONArray("transports");
    if (transports != null) {
      options.transports = list(transports).toArray(new String[0]);
    }
    Socket socket = IO.socket(command.getString("url"), options);
    sockets.put(id, socket);
    Manager manager = socket.io();
    manager.on(Manager.EVENT_OPEN, nothing -> engine(manager).on("upgrade",
        upgraded -> tell(id, "upgrade", "transport", field(upgraded[0], "name"))));
    socket.on(Socket.EVENT_CONNECT, nothing -> {
      io.socket.engineio.client.Socket engine = engine(manager);
      tell(id, "connect", "sid", socket.id(), "engine", engine.id(), "transport", field(field(engine, "transport"), "name"));
      if (command.has("login")) {
        emit(id, "login", List.of(command.optString("login")), "login");
      }
    });
    socket.on(Socket.EVENT_DISCONNECT, reason -> tell(id, "disconnect", "reason", String.valueOf(reason[0])));
    for (String name : new String[] {"connect_error", "error"}) { // 2.x and 1.x
      socket.on(name, reason -> tell(id, "refused", "reason", String.valueOf(reason.length > 0 ? reason[0] : "")));
    }
    for (Object event : list(command.getJSONArray("watch"))) {
      socket.on((String) event, args -> tell(id, "event", "event", event, "args", new JSONArray(List.of(args))));
    }
    socket.connect();
  }

  private void emit(String id, String event, List<Object> args, String ack) {
    Socket socket = sockets.get(id);
    if (ack.isEmpty()) {
      socket.emit(event, args.toArray());
    } else {
      socket.emit(event, args.toArray(), (Ack) answer -> tell(id, "ack", "ack", ack, "args", new JSONArray(List.of(answer))));
    }
  }

  /** Prints what happened to a connection; more are names and values in turn. */
  private static void tell(String id, String on, Object... more) {
    try {
      JSONObject line = new JSONObject().put("id", id).put("on", on);
      for (int n = 0; n < more.length; n += 2) {
        line.put((String) more[n], more[n + 1]);
      }
      OUT.println(line);
    } catch (JSONException e) {
      throw new IllegalStateException(e);
    }
  }

  private static List<Object> list(JSONArray array) throws JSONException {
    List<Object> all = new ArrayList<>();
    for (int n = 0; array != null && n < array.length(); n++) {
      all.add(array.get(n));
    }
    return all;
  }

  private static io.socket.engineio.client.Socket engine(Manager manager) {
    return (io.socket.engineio.client.Socket) field(manager, "engine");
  }

  /** What the client shows to nobody: which transport it has. */
  private static Object field(Object of, String name) {
    for (Class<?> type = of.getClass(); type != null; type = type.getSuperclass()) {
      try {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(of);
      } catch (NoSuchFieldException e) {
        continue;
      } catch (IllegalAccessException e) {
        throw new IllegalStateException(e);
      }
    }
    throw new IllegalStateException(of.getClass() + " has no field " + name);
  }
}
