import com.emc.vipr.client.ClientConfig;
import com.emc.vipr.client.Task;
import com.emc.vipr.client.Tasks;
import com.emc.vipr.client.ViPRCoreClient;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.TreeSet;
import org.codehaus.jackson.JsonNode;
import org.codehaus.jackson.map.AnnotationIntrospector;
import org.codehaus.jackson.map.BeanPropertyDefinition;
import org.codehaus.jackson.map.ObjectMapper;
import org.codehaus.jackson.map.introspect.BasicBeanDescription;
import org.codehaus.jackson.map.introspect.JacksonAnnotationIntrospector;
import org.codehaus.jackson.node.ObjectNode;
import org.codehaus.jackson.xc.JaxbAnnotationIntrospector;

/**
 * Runs calls of CoprHD's Java client that it reads from its input, a JSON object a line: {"on", "call", "arguments",
 * "wait", "absent"}. For each it writes a line with the result. Arguments become what the method's parameters are. With
 * "absent" the line also has the properties of the models that the answer left null.
 */
public class ViprCalls {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    AnnotationIntrospector both =
        new AnnotationIntrospector.Pair(new JaxbAnnotationIntrospector(), new JacksonAnnotationIntrospector());
    MAPPER.setAnnotationIntrospector(both);
    ClientConfig config = new ClientConfig().withHost("127.0.0.1");
    config.setProtocol("http");
    config.setPort(Integer.parseInt(arguments[0]));
    config.setMediaType(arguments[1]);
    config.setMaxRetries(0);
    config.setTaskPollingInterval(20);
    ViPRCoreClient client = new ViPRCoreClient(config);
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      ObjectNode answer = MAPPER.createObjectNode();
      try {
        JsonNode request = MAPPER.readTree(line);
        Object value = call(client, request);
        answer.put("value", MAPPER.valueToTree(value));
        if (request.has("absent")) {
          TreeSet<String> absent = new TreeSet<>();
          collectAbsent(value, "", absent);
          answer.put("absent", MAPPER.valueToTree(absent));
        }
      } catch (InvocationTargetException error) {
        tell(error.getCause(), answer);
      } catch (Exception error) {
        tell(error, answer);
      }
      System.out.println(MAPPER.writeValueAsString(answer));
      System.out.flush();
    }
  }

  private static Object call(ViPRCoreClient client, JsonNode request) throws Exception {
    Object resources = client.getClass().getMethod(request.get("on").getTextValue()).invoke(client);
    JsonNode given = request.get("arguments");
    Method method = methodOf(resources.getClass(), request.get("call").getTextValue(), given.size());
    Object[] values = new Object[given.size()];
    for (int index = 0; index < values.length; index += 1) {
      Type type = method.getGenericParameterTypes()[index];
      values[index] = MAPPER.readValue(given.get(index), MAPPER.getTypeFactory().constructType(type));
    }
    Object result = method.invoke(resources, values);
    boolean wait = request.has("wait");
    if (result instanceof Tasks) return tasks((Tasks<?>) result, wait);
    if (result instanceof Task) return task((Task<?>) result, wait);
    return result;
  }

  /** The items of a list have one path: a property that is null in any of them is absent. */
  private static void collectAbsent(Object value, String path, TreeSet<String> found) throws Exception {
    if (value instanceof Collection) for (Object item : (Collection<?>) value) collectAbsent(item, path, found);
    if (value == null || !value.getClass().getName().startsWith("com.emc.storageos.model.")) return;
    BasicBeanDescription bean =
        MAPPER.getSerializationConfig().introspect(MAPPER.getTypeFactory().constructType(value.getClass()));
    for (BeanPropertyDefinition property : bean.findProperties()) {
      if (!property.hasGetter()) continue;
      String name = path.isEmpty() ? property.getName() : path + "." + property.getName();
      Object content = property.getGetter().getAnnotated().invoke(value);
      if (content == null) found.add(name);
      else collectAbsent(content, name, found);
    }
  }

  /** The method with this name and number of parameters. Of overloads, the one that takes a URI. */
  private static Method methodOf(Class<?> type, String name, int count) throws NoSuchMethodException {
    List<Method> found = new ArrayList<>();
    for (Method method : type.getMethods()) {
      if (method.isBridge() || !method.getName().equals(name) || method.getParameterCount() != count) continue;
      found.add(method);
    }
    if (found.isEmpty()) throw new NoSuchMethodException(type + "." + name + "/" + count);
    for (Method method : found) if (count > 0 && method.getParameterTypes()[0] == java.net.URI.class) return method;
    return found.get(0);
  }

  private static List<Object> tasks(Tasks<?> tasks, boolean wait) throws Exception {
    List<Object> all = new ArrayList<>();
    for (Task<?> one : tasks.getTasks()) all.add(task(one, wait));
    return all;
  }

  private static Object task(Task<?> task, boolean wait) throws Exception {
    return (wait ? task.waitFor(20_000) : task).getTaskResource();
  }

  private static void tell(Throwable error, ObjectNode answer) throws Exception {
    ObjectNode told = MAPPER.createObjectNode();
    told.put("class", error.getClass().getSimpleName());
    told.put("message", String.valueOf(error.getMessage()));
    for (String name : new String[] {"getHttpCode", "getCode"}) {
      try {
        told.put(name.equals("getCode") ? "code" : "status", String.valueOf(error.getClass().getMethod(name).invoke(error)));
      } catch (NoSuchMethodException absent) {
        // Only a service's own error has them.
      }
    }
    answer.put("error", told);
  }
}
