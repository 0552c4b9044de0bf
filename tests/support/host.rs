//! A server of its own for each test: made with the operator's commands, reached over HTTPS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::binary::{Answer, Vaxel};
use crate::process::{Ports, Running, find_file, tail};
use crate::{Client, ClientError, Endpoint, Person, patiently, template};

/// Everybody's password in tests; long enough for any rule.
pub const PASSWORD: &str = "correct horse battery staple";

/// What the `Date` of an answer may lag behind the clock; moves of the clock are longer than this.
const CLOCK_STEP: Duration = Duration::from_secs(3);

/// A drain finishes what it holds; with nothing held it is quick.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Small log files: a server that is started for every test should not read 64 MiB of zeros each time.
pub const SMALL_LOG: &str = "[storage]\nsegment_bytes = 4194304\n";

/// What a test wants different.
#[derive(Clone)]
pub struct HostOptions {
    /// Lines of the configuration file.
    pub config: String,
    /// A directory to put the data in, for example a small file system.
    pub data: Option<PathBuf>,
    /// Whether the test moves the server's clock, see [`TestHost::moves_clock`].
    pub own_clock: bool,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            config: SMALL_LOG.to_owned(),
            data: None,
            own_clock: false,
        }
    }
}

impl HostOptions {
    /// A server whose clock the test moves.
    pub fn with_own_clock() -> Self {
        Self {
            own_clock: true,
            ..Self::default()
        }
    }
}

/// A handle; clones are the same server.
#[derive(Clone)]
pub struct TestHost {
    shared: Arc<Shared>,
}

struct Shared {
    vaxel: Vaxel,
    folder: TempDir,
    data: PathBuf,
    options: HostOptions,
    running: Mutex<Option<Running>>,
    ports: Mutex<Ports>,
    certificate: OnceLock<String>,
    clock_ahead: Mutex<Duration>,
    /// All that were handed out: when the server ends, their idle connections have ended too.
    clients: Mutex<Vec<Client>>,
}

impl TestHost {
    /// A server with the tenant `acme`, its admin `anna`, `bertil`, and nobody else; chat is switched on.
    pub async fn start() -> Self {
        Self::start_with(HostOptions::default()).await
    }

    pub async fn start_with(options: HostOptions) -> Self {
        let host = Self::prepare(options);
        template::copy_to(&host.shared.vaxel, &host.shared.data);
        host.serve();
        host
    }

    /// A folder and ports for a server that is neither made nor started yet.
    pub fn prepare(options: HostOptions) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("vaxel-test-")
            .tempdir()
            .expect("a temporary folder");
        let data = options
            .data
            .clone()
            .unwrap_or_else(|| folder.path().join("data"));
        std::fs::write(folder.path().join("vaxel.toml"), &options.config)
            .expect("writing the configuration");
        Self {
            shared: Arc::new(Shared {
                vaxel: Vaxel::find(),
                folder,
                data,
                options,
                running: Mutex::new(None),
                ports: Mutex::new(Ports::default()),
                certificate: OnceLock::new(),
                clock_ahead: Mutex::new(Duration::ZERO),
                clients: Mutex::new(Vec::new()),
            }),
        }
    }

    /// The usual cast: anna (admin) and bertil, both signed in with an open socket.
    pub async fn with_two_users() -> (Self, Person, Person) {
        let host = Self::start().await;
        let anna = host.sign_in("acme", "anna").await;
        let bertil = host.sign_in("acme", "bertil").await;
        (host, anna, bertil)
    }

    /// Makes a person of a tenant and signs them in.
    pub async fn person(&self, tenant: &str, login: &str, name: &str) -> Person {
        self.add_user(tenant, login, name, false);
        self.sign_in(tenant, login).await
    }

    pub async fn sign_in(&self, tenant: &str, login: &str) -> Person {
        Person::sign_in(self.clone(), tenant, login).await
    }

    pub fn add_user(&self, tenant: &str, login: &str, name: &str, admin: bool) {
        let mut args = vec![
            "user",
            "add",
            "--tenant",
            tenant,
            login,
            "--name",
            name,
            "--password-stdin",
        ];
        if admin {
            args.push("--admin");
        }
        self.command_with(&args, PASSWORD);
    }

    /// Makes another tenant at `SLUG.localhost` with an admin, signed in, and chat switched on.
    pub async fn tenant(&self, slug: &str, admin: &str) -> Person {
        let address = format!("{slug}.localhost");
        self.command(&["tenant", "add", slug, "--name", slug, "--host", &address]);
        self.add_user(slug, admin, admin, true);
        let client = self.client(slug);
        patiently("a certificate that names the new host", async {
            // The certificate is renewed beside the command, not by it.
            while let Err(error) = client.login(admin, PASSWORD).await {
                assert!(matches!(error, ClientError::Connect(_)), "{error:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        self.sign_in(slug, admin).await
    }

    /// Runs a command over this server's data; it must succeed.
    pub fn command(&self, args: &[&str]) -> Answer {
        self.command_with(args, "")
    }

    pub fn command_with(&self, args: &[&str], stdin: &str) -> Answer {
        let answer = self.try_command(args, stdin);
        answer.must_be_well(args)
    }

    /// Runs a command over this server's data; it may fail.
    pub fn try_command(&self, args: &[&str], stdin: &str) -> Answer {
        let data = self.shared.data.to_string_lossy().into_owned();
        let config = self.config_path().to_string_lossy().into_owned();
        let mut all = args.to_vec();
        all.extend(["--data", &data, "--config", &config]);
        self.shared.vaxel.run(&all, stdin)
    }

    /// Starts the server; the ports of an earlier start are kept.
    pub fn serve(&self) -> Duration {
        self.serve_over(&self.shared.data)
    }

    fn serve_over(&self, data: &Path) -> Duration {
        self.start_command(self.serve_command(data))
    }

    /// Starts the server with more flags and variables, for example as a demo.
    pub fn serve_with(&self, flags: &[&str], environment: &[(&str, &str)]) -> Duration {
        let mut command = self.serve_command(&self.shared.data);
        command.args(flags).envs(environment.iter().copied());
        self.start_command(command)
    }

    /// How the server is started.
    fn serve_command(&self, data: &Path) -> Command {
        let ports = *self.ports();
        let mut command = Command::new(self.shared.vaxel.path());
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--https-port", &ports.https.to_string()])
            .args(["--admin-port", &ports.admin.to_string()])
            .arg("--config")
            .arg(self.config_path())
            .envs(self.clock_environment());
        command
    }

    fn start_command(&self, command: Command) -> Duration {
        let running = Running::start(command, &self.log_path());
        *self.ports() = running.ports;
        let took = running.took;
        *self.running() = Some(running);
        took
    }

    pub fn kill9(&self) {
        let mut running = self.running().take().expect("a running server");
        running.kill9();
        self.clients().iter().for_each(Client::forget_connections);
    }

    /// Asks the server to stop; it must end well.
    pub fn stop(&self) {
        let mut running = self.running().take().expect("a running server");
        let status = running.terminate(STOP_LIMIT);
        assert!(
            status.success(),
            "the server ended with {status}:\n{}",
            self.log_tail()
        );
        self.clients().iter().for_each(Client::forget_connections);
    }

    pub fn restart(&self) -> Duration {
        self.stop();
        self.serve()
    }

    /// Comes back at other ports, as after a change of the configuration.
    pub fn restart_elsewhere(&self) {
        self.stop();
        *self.ports() = Ports::default();
        self.serve();
    }

    pub fn is_running(&self) -> bool {
        self.running().is_some()
    }

    pub fn pid(&self) -> u32 {
        self.running().as_ref().expect("a running server").pid()
    }

    /// What the server printed until it was ready.
    pub fn stdout(&self) -> Vec<String> {
        self.running()
            .as_ref()
            .map(|r| r.stdout.clone())
            .unwrap_or_default()
    }

    /// Nobody's client at a tenant's address, over HTTPS, trusting this server's local CA.
    pub fn client(&self, tenant: &str) -> Client {
        let client = Client::new(self.endpoint(&format!("{tenant}.localhost")));
        self.clients().push(client.clone());
        client
    }

    /// The same without TLS, where the configuration opens such a listener on loopback.
    pub fn plain_client(&self, tenant: &str) -> Client {
        let port = self.ports().http;
        let url = format!("http://{tenant}.localhost:{port}");
        Client::new(Endpoint::parse(&url).expect("an address"))
    }

    /// The port of that listener.
    pub fn plain_port(&self) -> u16 {
        self.ports().http
    }

    pub fn endpoint(&self, host: &str) -> Endpoint {
        let port = self.ports().https;
        Endpoint::parse(&format!("https://{host}:{port}"))
            .and_then(|endpoint| endpoint.trusting(self.certificate()))
            .expect("the server's address")
            .at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))
    }

    /// A client of the admin listener.
    pub fn admin_client(&self) -> Client {
        let port = self.ports().admin;
        Client::new(Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("an address"))
    }

    /// The certificate of the local CA, as a person would install it.
    pub fn certificate(&self) -> &str {
        self.shared.certificate.get_or_init(|| {
            let path = find_file(&self.shared.data, "ca.pem").expect("the local CA's ca.pem");
            std::fs::read_to_string(path).expect("the local CA's certificate")
        })
    }

    pub fn data(&self) -> &Path {
        &self.shared.data
    }

    /// A place for files of the test, gone with the host.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.shared.folder.path().join(name)
    }

    pub fn vaxel(&self) -> &Vaxel {
        &self.shared.vaxel
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log_path())
    }

    /// Replaces the configuration; the next start or command reads it.
    pub fn configures(&self, config: &str) {
        std::fs::write(self.config_path(), config).expect("writing the configuration");
    }

    fn config_path(&self) -> PathBuf {
        self.shared.folder.path().join("vaxel.toml")
    }

    fn log_path(&self) -> PathBuf {
        self.shared.folder.path().join("server.log")
    }

    /// Puts the server's wall clock ahead; its timers and everybody else's clock stay as they are.
    #[allow(
        clippy::disallowed_methods,
        reason = "the test's clock is the machine's"
    )]
    pub async fn moves_clock(&self, by: Duration) {
        assert!(
            self.shared.options.own_clock,
            "this server has no clock of its own"
        );
        let ahead = {
            let mut ahead = self
                .shared
                .clock_ahead
                .lock()
                .expect("no test panicked with it");
            *ahead += by;
            *ahead
        };
        let unfinished = self.scratch("clock.new");
        std::fs::write(&unfinished, format!("+{}", ahead.as_secs())).expect("the clock's file");
        std::fs::rename(unfinished, self.clock_path()).expect("the clock's file");
        let admin = self.admin_client();
        patiently("the server's clock to move", async {
            loop {
                let answer = admin
                    .get("/health/live")
                    .await
                    .expect("the server's health");
                let date = answer.headers()["date"].to_str().expect("a date");
                let told = httpdate::parse_http_date(date).expect("a date");
                // The header counts whole seconds and is made anew once a second.
                if told + CLOCK_STEP >= SystemTime::now() + ahead {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    fn clock_path(&self) -> PathBuf {
        self.shared.folder.path().join("clock")
    }

    fn clock_environment(&self) -> Vec<(&'static str, String)> {
        if !self.shared.options.own_clock {
            return Vec::new();
        }
        if !self.clock_path().is_file() {
            std::fs::write(self.clock_path(), "+0").expect("the clock's file");
        }
        let library = std::fs::read_dir("/usr/lib")
            .expect("libraries")
            .flatten()
            .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
            .find(|library| library.is_file())
            .expect("libfaketime, which Debian's package `libfaketime` brings");
        vec![
            ("LD_PRELOAD", library.to_string_lossy().into_owned()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.clock_path().to_string_lossy().into_owned(),
            ),
            // The file is read once a second: reading it at every look at the clock would be all the server does.
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Client>> {
        self.shared
            .clients
            .lock()
            .expect("no test panicked with it")
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.shared
            .running
            .lock()
            .expect("no test panicked with it")
    }

    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.shared.ports.lock().expect("no test panicked with it")
    }
}
