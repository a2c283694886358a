import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import okhttp3.Interceptor;
import okhttp3.OkHttpClient;
import okhttp3.Response;
import org.zstack.sdk.ZSClient;
import org.zstack.sdk.ZSConfig;

/**
 * Runs calls of ZStack's Java SDK that it reads from its input, a JSON object a line: {"action", "fields"}. For each it
 * writes a line: the result, the class of each object in it, what of the answer the SDK's classes do not know, and which
 * fields of those classes the answer leaves out.
 */
public class ZStackCalls {
  private static final Gson GSON = new Gson();
  /** The body of the latest answer with a result. */
  private static volatile String body = "";

  public static void main(String[] arguments) throws Exception {
    ZSClient.configure(
        new ZSConfig.Builder()
            .setHostname("127.0.0.1")
            .setPort(Integer.parseInt(arguments[0]))
            .setContextPath("zstack")
            .setDefaultPollingInterval(20, TimeUnit.MILLISECONDS)
            .setDefaultPollingTimeout(20, TimeUnit.SECONDS)
            .build());
    recordBodies();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      JsonObject answer;
      try {
        answer = call(JsonParser.parseString(line).getAsJsonObject());
      } catch (InvocationTargetException error) {
        answer = crashed(error.getCause());
      } catch (Exception error) {
        answer = crashed(error);
      }
      System.out.println(GSON.toJson(answer));
      System.out.flush();
    }
  }

  private static JsonObject call(JsonObject request) throws Exception {
    Class<?> type = Class.forName("org.zstack.sdk." + request.get("action").getAsString() + "Action");
    Object action = type.getConstructor().newInstance();
    for (Map.Entry<String, JsonElement> entry : request.getAsJsonObject("fields").entrySet()) {
      Field field = type.getField(entry.getKey());
      field.set(action, GSON.fromJson(entry.getValue(), field.getGenericType()));
    }
    body = "";
    Object result = type.getMethod("call").invoke(action);
    Object error = result.getClass().getField("error").get(result);
    Object value = result.getClass().getField("value").get(result);
    JsonObject answer = new JsonObject();
    if (error != null) answer.add("error", GSON.toJsonTree(error));
    if (value == null) return answer;
    answer.add("value", GSON.toJsonTree(value));
    JsonObject classes = new JsonObject();
    JsonArray unknown = new JsonArray();
    Set<String> missing = new TreeSet<>();
    if (!body.isEmpty()) compare(JsonParser.parseString(body), value, "", classes, unknown, missing);
    answer.add("classes", classes);
    answer.add("unknown", unknown);
    answer.add("missing", GSON.toJsonTree(missing));
    return answer;
  }

  /** Walks through the JSON of the answer and through the objects that the SDK made of it. */
  private static void compare(
      JsonElement json, Object value, String path, JsonObject classes, JsonArray unknown, Set<String> missing)
      throws IllegalAccessException {
    if (json.isJsonArray() && value instanceof List) {
      List<?> list = (List<?>) value;
      for (int index = 0; index < list.size(); index += 1) {
        String inner = path + "[" + index + "]";
        compare(json.getAsJsonArray().get(index), list.get(index), inner, classes, unknown, missing);
      }
      return;
    }
    if (!json.isJsonObject() || value == null) return;
    if (!value.getClass().getName().startsWith("org.zstack.")) {
      classes.addProperty(path, value.getClass().getSimpleName());
      return;
    }
    if (!path.isEmpty()) classes.addProperty(path, value.getClass().getSimpleName());
    for (Map.Entry<String, JsonElement> entry : json.getAsJsonObject().entrySet()) {
      String name = entry.getKey();
      if (path.isEmpty() && (name.equals("schema") || name.equals("success"))) continue;
      String inner = path.isEmpty() ? name : path + "." + name;
      Field field = fieldOf(value.getClass(), name);
      if (field == null) {
        unknown.add(inner);
        continue;
      }
      field.setAccessible(true);
      compare(entry.getValue(), field.get(value), inner, classes, unknown, missing);
    }
    // A call's result has fields of other forms of the call, such as a query's total.
    if (!path.isEmpty()) addMissing(value.getClass(), json.getAsJsonObject(), missing);
  }

  private static void addMissing(Class<?> type, JsonObject json, Set<String> missing) {
    for (Class<?> one = type; one != null; one = one.getSuperclass()) {
      for (Field field : one.getDeclaredFields()) {
        boolean ofObject = !Modifier.isStatic(field.getModifiers()) && !field.isSynthetic();
        if (ofObject && !json.has(field.getName())) missing.add(type.getSimpleName() + "." + field.getName());
      }
    }
  }

  private static Field fieldOf(Class<?> type, String name) {
    for (Class<?> one = type; one != null; one = one.getSuperclass()) {
      try {
        return one.getDeclaredField(name);
      } catch (NoSuchFieldException absent) {
        // A superclass may have the field.
      }
    }
    return null;
  }

  /** The SDK shows results only. Its HTTP client is replaced by one that keeps the answers' bodies. */
  private static void recordBodies() throws Exception {
    Interceptor keep =
        chain -> {
          Response response = chain.proceed(chain.request());
          if (response.code() == 200) body = response.peekBody(1 << 20).string();
          return response;
        };
    Field http = ZSClient.class.getDeclaredField("http");
    http.setAccessible(true);
    http.set(null, new OkHttpClient.Builder().addInterceptor(keep).build());
  }

  private static JsonObject crashed(Throwable error) {
    JsonObject answer = new JsonObject();
    answer.addProperty("crash", error.toString());
    return answer;
  }
}
