// Package config reads each process's settings from the environment, and refuses what is missing, weak or unsafe.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Environment says how strict the checks are: production, development or test.
type Environment string

// The three environments.
const (
	Production  Environment = "production"
	Development Environment = "development"
	Test        Environment = "test"
)

// IsProduction reports whether every check applies and no test seam is allowed.
func (e Environment) IsProduction() bool { return e == Production }

// The processes that Load knows. Dev is the launcher that runs everything on one machine: nothing is required of it and
// nothing is hidden from it.
const (
	API       = "api"
	Worker    = "worker"
	Scheduler = "scheduler"
	Migrate   = "migrate"
	Dev       = "dev"
)

// Config is the settings of one process. Tags: `need` lists the processes that refuse to start without the setting,
// `only` those that may know it (it is emptied in the others), `desc` is the line for people.
type Config struct {
	Process     string
	Env         Environment   `env:"ENV" envDefault:"development" desc:"development, test or production; production applies every check"`
	Shutdown    time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"25s" desc:"how long a stopping process may take to hand its work back"`
	ClockOffset time.Duration `env:"CLOCK_OFFSET" envDefault:"0s" desc:"shifts business time, for tests and demos; refused in production"`
	Log         Log           `section:"Log"`
	Trace       Trace         `section:"Traces"`
	HTTP        HTTP          `section:"HTTP"`
	Ops         Ops           `section:"Operations"`
	DB          DB            `section:"PostgreSQL"`
	Redis       Redis         `section:"Redis"`
	JWT         JWT           `section:"Access tokens"`
	Keys        Keys          `section:"Keys"`
	Google      Google        `section:"Google sign-in"`
	Gmail       Gmail         `section:"Gmail"`
	Mail        Mail          `section:"Mail"`
	Stripe      Stripe        `section:"Payments"`
	Jobs        Jobs          `section:"Jobs"`
	Limits      Limits        `section:"Limits"`
}

// Log says what the process writes to standard error.
type Log struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`
	Format string     `env:"LOG_FORMAT" desc:"json or text; empty means json in production and text elsewhere"`
}

// Trace is where traces go. The exporter reads the other standard OTEL_ variables itself, such as OTEL_EXPORTER_OTLP_HEADERS.
type Trace struct {
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"OpenTelemetry collector that takes traces over HTTP, such as http://127.0.0.1:4318; empty means no traces; a login belongs into OTEL_EXPORTER_OTLP_HEADERS"`
}

// HTTP is the public listener and the address people reach it under.
type HTTP struct {
	Addr           string         `env:"API_ADDR" envDefault:":8000" desc:"address the API listens on"`
	PublicURL      string         `env:"PUBLIC_URL" envDefault:"http://127.0.0.1:8000" desc:"where people reach us; every link in a mail starts with it; https in production"`
	Grace          time.Duration  `env:"SHUTDOWN_GRACE" envDefault:"3s" desc:"how long a stopping API still takes requests while it says that it is not ready: longer than the load balancer takes to notice; part of SHUTDOWN_TIMEOUT"`
	CORSOrigins    []string       `env:"CORS_ORIGINS" desc:"comma-separated origins whose pages may call the API, such as https://app.example.com"`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" desc:"comma-separated networks whose X-Forwarded-For is believed; empty means none"`
}

// Ops is the private listeners with metrics and the queue page.
type Ops struct {
	APIAddr       string `env:"OPS_ADDR" envDefault:"127.0.0.1:8001" desc:"operations listener of the API"`
	WorkerAddr    string `env:"WORKER_OPS_ADDR" envDefault:"127.0.0.1:8002" desc:"operations listener of the worker"`
	SchedulerAddr string `env:"SCHEDULER_OPS_ADDR" envDefault:"127.0.0.1:8003" desc:"operations listener of the scheduler"`
	UsersFile     string `env:"OPS_USERS" desc:"file with one name:bcrypt-hash:role per line (role viewer or operator); needed when an operations listener is not on loopback"`
	Users         []OpsUser
}

// Addr is the operations address of one process.
func (o Ops) Addr(process string) string {
	return map[string]string{API: o.APIAddr, Worker: o.WorkerAddr, Scheduler: o.SchedulerAddr}[process]
}

// DB is one login per process, and the role passwords that only migrate knows.
type DB struct {
	URL               Secret `env:"DATABASE_URL" need:"migrate" only:"migrate" desc:"bootstrap login: migrations, and creating the roles"`
	APIURL            Secret `env:"API_DATABASE_URL" need:"api" only:"api" desc:"the API's login (role app)"`
	WorkerURL         Secret `env:"WORKER_DATABASE_URL" need:"worker" only:"worker" desc:"the worker's login"`
	SchedulerURL      Secret `env:"SCHEDULER_DATABASE_URL" need:"scheduler" only:"scheduler" desc:"the scheduler's login"`
	OpsURL            Secret `env:"OPS_DATABASE_URL" only:"api" desc:"login of the operations commands"`
	OwnerPassword     Secret `env:"DB_OWNER_PASSWORD" only:"migrate" desc:"password that migrate gives the owner role"`
	AppPassword       Secret `env:"DB_APP_PASSWORD" only:"migrate" desc:"password that migrate gives the API's role"`
	WorkerPassword    Secret `env:"DB_WORKER_PASSWORD" only:"migrate" desc:"password that migrate gives the worker's role"`
	SchedulerPassword Secret `env:"DB_SCHEDULER_PASSWORD" only:"migrate" desc:"password that migrate gives the scheduler's role"`
	OpsPassword       Secret `env:"DB_OPS_PASSWORD" only:"migrate" desc:"password that migrate gives the operations role"`
	RetentionMonths   int    `env:"RETENTION_MONTHS" envDefault:"13" desc:"full months that finished jobs, their ledger, the audit log and sent mails stay in reach before the scheduler archives them; at least 2"`
	DeletionGraceDays int    `env:"DELETION_GRACE_DAYS" envDefault:"7" desc:"days between the deletion of an account, which shuts it at once, and the purge of everything it left; 1 to 29"`
	AuditHeads        string `env:"AUDIT_HEADS_FILE" desc:"file to which the scheduler appends the ends of the audit chains once a day, best on a medium that it can only append to; empty: its log has them"`
}

// For is the login of one process; migrate and dev get the bootstrap login.
func (d DB) For(process string) Secret {
	switch process {
	case API:
		return d.APIURL
	case Worker:
		return d.WorkerURL
	case Scheduler:
		return d.SchedulerURL
	}
	return d.URL
}

// Redis holds queues and rate limits. Without a mode it is one server.
type Redis struct {
	URL              Secret   `env:"REDIS_URL" envDefault:"redis://127.0.0.1:6379/0" desc:"where Redis is: redis://user:password@host:port/database, rediss:// for TLS; every server must have maxmemory-policy noeviction"`
	Mode             string   `env:"REDIS_MODE" envDefault:"standalone" desc:"standalone, sentinel or cluster; REDIS_URL then names the first Sentinel or node, with the login of the servers"`
	Addrs            []string `env:"REDIS_ADDRS" desc:"comma-separated host:port of the other Sentinels or nodes"`
	Master           string   `env:"REDIS_MASTER" desc:"name under which the Sentinels watch the master; needed in mode sentinel"`
	SentinelUser     string   `env:"REDIS_SENTINEL_USER" desc:"user at the Sentinels themselves; empty means the default user"`
	SentinelPassword Secret   `env:"REDIS_SENTINEL_PASSWORD" desc:"password at the Sentinels themselves; empty means no login"`
	CAFile           string   `env:"REDIS_CA" desc:"file with the certificates (PEM) of the authority that signed the certificates of a rediss:// server; empty means the system's"`
	CA               []byte
}

// The modes of Redis.
const (
	Standalone = "standalone"
	Sentinel   = "sentinel"
	Cluster    = "cluster"
)

// JWT signs and checks access tokens.
type JWT struct {
	Keys     []Key  `env:"JWT_KEYS" need:"api" only:"api" desc:"comma-separated kid:base64 of 32-byte Ed25519 seeds; the first signs, all verify"`
	Issuer   string `env:"JWT_ISSUER" envDefault:"mailsweep" desc:"iss of access tokens"`
	Audience string `env:"JWT_AUDIENCE" envDefault:"mailsweep-api" desc:"aud of access tokens"`
}

// Keys is everything that hashes or seals. The keyset fields are references for secret.ReadKeyset.
type Keys struct {
	Peppers      []Key  `env:"PASSWORD_PEPPERS" need:"api" only:"api" desc:"comma-separated id:base64 of at least 32 random bytes; the first is current"`
	PseudonymKey Key    `env:"PSEUDONYM_KEY" need:"api,worker" desc:"base64 of at least 32 random bytes; hashes addresses, IPs and Google account ids"`
	TokenPublic  Secret `env:"TOKEN_KEYSET_PUBLIC" need:"api" only:"api" desc:"file with the keyset that seals Gmail tokens; outside production also the JSON itself or its base64"`
	TokenPrivate Secret `env:"TOKEN_KEYSET_PRIVATE" need:"worker" only:"worker" desc:"file (mode 0600) with the keyset that opens Gmail tokens; given to the worker alone"`
	Index        Secret `env:"INDEX_KEYSET" need:"api,worker,scheduler" desc:"file (mode 0600) with the keyset that wraps each customer's data key"`
	KEK          string `env:"KEYSET_KEK" desc:"key in Google Cloud KMS that the files of TOKEN_KEYSET_PRIVATE and INDEX_KEYSET are encrypted under: gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K; empty: they are in clear"`
	KMSURL       string `env:"KMS_URL" desc:"Google Cloud KMS; empty means Google's; outside production another one is asked without a login"`
	BcryptCost   int    `env:"BCRYPT_COST" envDefault:"12" desc:"bcrypt cost of passwords; at least 12 in production"`
	PasswordMin  int    `env:"PASSWORD_MIN" envDefault:"12" desc:"characters that a new password has at least, 12 to 64; 15 is the strict profile, for where a password alone opens an account"`
}

// Google is the OAuth client; an empty URL means Google's own.
type Google struct {
	ClientID     string `env:"GOOGLE_CLIENT_ID" need:"api,worker" desc:"OAuth client id; at Google it has the redirects PUBLIC_URL/oauth/google/callback (mailboxes) and PUBLIC_URL/oauth/google/sign-in"`
	ClientSecret Secret `env:"GOOGLE_CLIENT_SECRET" need:"api,worker" only:"api,worker" desc:"OAuth client secret"`
	AuthURL      string `env:"GOOGLE_AUTH_URL" desc:"consent page; empty means Google's"`
	TokenURL     string `env:"GOOGLE_TOKEN_URL" desc:"token endpoint; empty means Google's"`
	RevokeURL    string `env:"GOOGLE_REVOKE_URL" desc:"revocation endpoint; empty means Google's"`
	UserInfoURL  string `env:"GOOGLE_USERINFO_URL" desc:"userinfo endpoint; empty means Google's"`
	CertsURL     string `env:"GOOGLE_CERTS_URL" desc:"keys that sign id tokens; empty means Google's"`
}

// Gmail is the mail API and the price list of its calls.
type Gmail struct {
	BaseURL   string  `env:"GMAIL_BASE_URL" desc:"Gmail API; empty means Google's"`
	Tariff    string  `env:"GMAIL_TARIFF" envDefault:"total_query_cost" desc:"unit price list of our Google project: total_query_cost (6,000 units a minute) or default (15,000)"`
	TimeScale float64 `env:"GMAIL_TIMESCALE" envDefault:"1" desc:"how many times faster than Google's the quota clock runs, for a simulated Google; refused in production unless 1"`
	DayUnits  int64   `env:"GMAIL_DAY_UNITS" envDefault:"80000000" desc:"units that our Google project may spend in a day of Google's (midnight Pacific Time) before they cost; 0 means no bound"`
	DayShares []int   `env:"GMAIL_DAY_SHARES" envDefault:"80,90,95,98" desc:"percents of GMAIL_DAY_UNITS from which on new work waits for the next day: analyses of who does not pay, other analyses, previews, executes; undo never waits"`
}

// Stripe takes payments; without a key nothing is sold. Its prices, portal and endpoint are made by scheduler stripe-setup, which prints these settings.
type Stripe struct {
	Key     Secret   `env:"STRIPE_SECRET_KEY" only:"api,scheduler" desc:"secret key at Stripe, sk_live_… or sk_test_… (or a restricted one, rk_…); empty: payments are not set up, everything else works"`
	Secrets []Secret `env:"STRIPE_WEBHOOK_SECRETS" only:"api" desc:"comma-separated signing secrets of the endpoint PUBLIC_URL/webhooks/stripe, whsec_…; two while one is rolled"`
	Prices  []string `env:"STRIPE_PRICES" desc:"comma-separated plan_period:price, such as pro_month:price_…; of several of a plan the first is sold, the others are those of who bought before"`
	Portal  string   `env:"STRIPE_PORTAL" desc:"configuration of the customer portal, bpc_…; empty means Stripe's default"`
	BaseURL string   `env:"STRIPE_URL" desc:"Stripe's API; empty means Stripe's"`
}

// Mail is the SMTP relay. An empty TLS means none on loopback and starttls elsewhere.
type Mail struct {
	Addr     string `env:"SMTP_ADDR" envDefault:"127.0.0.1:1025" desc:"SMTP relay, host:port"`
	User     string `env:"SMTP_USER" desc:"SMTP user; empty means no login"`
	Password Secret `env:"SMTP_PASSWORD" only:"api,worker,scheduler" desc:"SMTP password"`
	TLS      string `env:"SMTP_TLS" desc:"none, starttls or tls; empty means none on loopback and starttls elsewhere"`
	From     string `env:"MAIL_FROM" envDefault:"Mailsweep <no-reply@localhost>" desc:"sender of our mail"`
}

// Jobs is the size of one worker.
type Jobs struct {
	Concurrency int           `env:"WORKER_CONCURRENCY" envDefault:"32" desc:"jobs that one worker process runs at a time"`
	LookEvery   time.Duration `env:"WORKER_LOOK_EVERY" envDefault:"5ms" desc:"how often an idle worker looks for jobs; seldom spares a core a tenth, and a job starts that much later"`
}

// Limits is what can be tuned without a release.
type Limits struct {
	Plans                Plans  `env:"PLAN_LIMITS" desc:"JSON that overrides limits of the plan table, such as {\"free\":{\"emails_per_period\":500,\"mailboxes\":1,\"people\":1,\"requests_per_minute\":60}}"`
	SignupsPerHourPerIP  int    `env:"SIGNUPS_PER_HOUR_PER_IP" envDefault:"5" desc:"sign-ups that one IP address may make in an hour"`
	SignupsPerHour       int    `env:"SIGNUPS_PER_HOUR" envDefault:"1000" desc:"sign-ups in an hour of everybody together, before all further ones are put off"`
	SignUps              string `env:"SIGN_UPS" envDefault:"open" desc:"who may become a customer: open, or invited: only by the link that api ops invite makes for an address"`
	MaxCustomers         int    `env:"MAX_CUSTOMERS" envDefault:"0" desc:"customers that are taken at most; 0: any number"`
	ExecutesPerDay       int    `env:"EXECUTES_PER_DAY" envDefault:"100" desc:"executes that one customer may start in a day"`
	OpenJobsPerCustomer  int    `env:"OPEN_JOBS_PER_CUSTOMER" envDefault:"20" desc:"jobs that one customer may have open"`
	RunningPerCustomer   int    `env:"RUNNING_JOBS_PER_CUSTOMER" envDefault:"6" desc:"jobs of one customer that are handed to workers at a time, of those that write and of those that do not each"`
	LoginFailuresPerIP   int    `env:"LOGIN_FAILURES_PER_IP" envDefault:"20" desc:"failed sign-ins that one IP address may make in 15 minutes"`
	LoginFailuresPerUser int    `env:"LOGIN_FAILURES_PER_USER" envDefault:"5" desc:"failed sign-ins to one account before the next one has to wait: 1 s, 2 s, 4 s, up to 900 s"`
}
