import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import org.apache.rocketmq.common.message.Message;

/**
 * Runs scenarios with the official Java client against a name server and a broker of any make.
 * <pre>
 * java -cp … Scenarios --namesrv H:P --broker H:P [--only REGEX] [--smoke] [--parallel N] [--restartable] [--list]
 * </pre>
 * Prints what each scenario checked, PASS, FAIL or SKIP per scenario, and the sums at the end; exits 1 when one
 * failed. With --restartable it prints the line {@code @RESTART_BROKER} when the broker has to be restarted and reads
 * {@code done} from stdin. Topics and groups have names of this run, so a cluster can be used again.
 */
public final class Scenarios {
    /** A scenario that takes longer is stuck; the slowest takes well under a minute. */
    private static final long LIMIT_MS = 150_000;

    private static PrintStream out;
    private static BufferedReader in;

    public static void main(String[] args) throws Exception {
        out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // what the client library prints is not part of the report
        in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String namesrv = null;
        String broker = null;
        Pattern only = Pattern.compile("");
        boolean smoke = false;
        boolean list = false;
        boolean restartable = false;
        int parallel = 6;
        for (int i = 0; i < args.length; i++) {
            switch (args[i]) {
                case "--namesrv" -> namesrv = args[++i];
                case "--broker" -> broker = args[++i];
                case "--only" -> only = Pattern.compile(args[++i]);
                case "--parallel" -> parallel = Integer.parseInt(args[++i]);
                case "--smoke" -> smoke = true;
                case "--restartable" -> restartable = true;
                case "--list" -> list = true;
                default -> {
                    System.err.println("unknown argument " + args[i]);
                    System.exit(2);
                }
            }
        }
        List<Scenario.Named> chosen = new ArrayList<>();
        for (Scenario.Named scenario : all()) {
            if (only.matcher(scenario.name()).find() && (!smoke || scenario.smoke())) chosen.add(scenario);
        }
        if (list) {
            chosen.forEach(s -> out.println(s.name() + (s.smoke() ? " smoke" : "") + (s.exclusive() ? " exclusive" : "")));
            return;
        }
        if (namesrv == null || broker == null) {
            System.err.println("--namesrv and --broker are needed");
            System.exit(2);
        }
        if (System.getProperty("rocketmq.client.localOffsetStoreDir") == null) {
            File offsets = Files.createTempDirectory("compat-offsets").toFile();
            System.setProperty("rocketmq.client.localOffsetStoreDir", offsets.getPath());
        }
        String run = Long.toString(System.currentTimeMillis(), 36);
        warmUp(namesrv, broker, run);
        int[] sums = new int[3];
        runAll(chosen.stream().filter(s -> !s.exclusive()).toList(), parallel, namesrv, broker, run, restartable, sums);
        runAll(chosen.stream().filter(Scenario.Named::exclusive).toList(), 1, namesrv, broker, run, restartable, sums);
        if (sums[0] + sums[1] + sums[2] == 0) sums[1] = 1; // a pattern that selects nothing is a mistake
        out.println(sums[0] + " passed, " + sums[1] + " failed, " + sums[2] + " skipped");
        Runtime.getRuntime().halt(sums[1] == 0 ? 0 : 1); // client threads that linger must not keep the process
    }

    /** One message through a server that just started, so that no scenario's times contain the loading of classes. */
    private static void warmUp(String namesrv, String broker, String run) {
        Env env = new Env(namesrv, broker, run, "warm_up", false);
        try {
            String topic = env.topic("t", 1);
            env.send(env.producer(), new Message(topic, Env.utf8("x")), 0);
            env.readQueue(topic, 0);
        } catch (Exception | AssertionError e) {
            out.println("warming up: " + e); // the scenarios will tell what is wrong
        }
        env.close();
    }

    static List<Scenario.Named> all() {
        List<Scenario.Named> all = new ArrayList<>();
        // Those that mostly wait come first, so that the others run beside them.
        Retrying.register(all);
        Ordering.register(all);
        Rebalancing.register(all);
        Assigning.register(all);
        ClientCalls.register(all);
        Grouping.register(all);
        Replying.register(all);
        Sending.register(all);
        Consuming.register(all);
        Changing.register(all);
        Naming.register(all);
        Filtering.register(all);
        Querying.register(all);
        Offsets.register(all);
        Refusals.register(all);
        Delaying.register(all);
        Transacting.register(all);
        Restarting.register(all);
        return all;
    }

    private static void runAll(List<Scenario.Named> chosen, int parallel, String namesrv, String broker, String run,
        boolean restartable, int[] sums) throws Exception {
        ExecutorService workers = Executors.newFixedThreadPool(parallel);
        List<Future<?>> running = new ArrayList<>();
        for (Scenario.Named scenario : chosen) {
            running.add(workers.submit(() -> runOne(scenario, namesrv, broker, run, restartable, sums)));
        }
        for (Future<?> one : running) one.get();
        workers.shutdown();
    }

    private static void runOne(Scenario.Named scenario, String namesrv, String broker, String run, boolean restartable,
        int[] sums) {
        long start = System.nanoTime();
        Env env = new Env(namesrv, broker, run, scenario.name(), restartable);
        Throwable failure = null;
        try {
            limited(() -> {
                scenario.body().run(env);
                return null;
            });
        } catch (ExecutionException e) {
            failure = e.getCause();
        } catch (TimeoutException e) {
            failure = new AssertionError("still running after " + LIMIT_MS + " ms");
        } catch (Throwable e) {
            failure = e;
        }
        env.close();
        StringBuilder report = new StringBuilder();
        for (String line : env.said()) report.append("  ").append(scenario.name()).append(": ").append(line).append('\n');
        long ms = (System.nanoTime() - start) / 1_000_000;
        if (failure == null) {
            report.append("PASS ").append(scenario.name()).append(": ").append(ms).append(" ms");
        } else if (failure instanceof Scenario.Skipped) {
            report.append("SKIP ").append(scenario.name()).append(": ").append(failure.getMessage());
        } else {
            if (!(failure instanceof AssertionError)) {
                StringWriter trace = new StringWriter();
                failure.printStackTrace(new PrintWriter(trace));
                report.append(trace.toString().indent(4));
            }
            String reason = failure instanceof AssertionError ? failure.getMessage() : failure.toString();
            report.append("FAIL ").append(scenario.name()).append(": ").append(reason).append(" (").append(ms).append(" ms)");
        }
        synchronized (sums) {
            out.println(report);
            sums[failure == null ? 0 : failure instanceof Scenario.Skipped ? 2 : 1]++;
        }
    }

    private static void limited(Callable<Void> body) throws Exception {
        ExecutorService one = Executors.newSingleThreadExecutor();
        try {
            one.submit(body).get(LIMIT_MS, TimeUnit.MILLISECONDS);
        } finally {
            one.shutdownNow();
        }
    }

    /** See the class comment. */
    static synchronized void restartBroker() throws Exception {
        out.println("@RESTART_BROKER");
        String answer = in.readLine();
        if (!"done".equals(answer)) throw new AssertionError("the runner answered " + answer + " instead of done");
    }
}
