/** One named check of the contract between client and servers. It fails by throwing. */
interface Scenario {
    void run(Env env) throws Exception;

    /** A scenario with the name it is selected by. */
    record Named(String name, boolean smoke, boolean exclusive, Scenario body) {}

    /** Thrown by a scenario that cannot run here; it counts as skipped, with the reason. */
    final class Skipped extends RuntimeException {
        Skipped(String why) {
            super(why);
        }
    }
}
