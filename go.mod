module mailsweep

go 1.26.0

require (
	github.com/RoaringBitmap/roaring/v2 v2.30.0 // sets of messages
	github.com/Shopify/toxiproxy/v2 v2.5.0 // bad networks in make faults
	github.com/boombuler/barcode v1.0.1-0.20190219062509-6c824513bacc // QR code of the second factor as SVG
	github.com/caarlos0/env/v11 v11.4.2 // settings from the environment
	github.com/ccojocar/zxcvbn-go v1.0.4 // lists of common passwords, words and names
	github.com/cenkalti/backoff/v5 v5.0.3 // retries inside a Gmail call
	github.com/danielgtaylor/huma/v2 v2.37.2 // typed handlers, validation, OpenAPI 3.1
	github.com/emersion/go-smtp v0.25.1 // mail sink of the simulated world
	github.com/getkin/kin-openapi v0.153.0 // every answer in tests against the OpenAPI document, and its fuzzer
	github.com/go-logr/logr v1.4.4 // what OpenTelemetry says of its settings
	github.com/golang-jwt/jwt/v5 v5.3.1 // access tokens, EdDSA; id_tokens of Google, RS256
	github.com/hibiken/asynq v0.26.0 // tasks, workers, periodic entries
	github.com/hibiken/asynqmon v0.7.2 // queue page for operations
	github.com/jackc/pgx/v5 v5.12.0 // PostgreSQL: pool, pipelines, LISTEN
	github.com/joho/godotenv v1.5.1 // .env in development
	github.com/klauspost/compress v1.20.4 // gzip: of answers of Gmail, and in the simulated Google
	github.com/labstack/echo/v4 v4.16.4 // HTTP server and middleware
	github.com/lmittmann/tint v1.2.1 // readable logs in development
	github.com/pquerna/otp v1.5.0 // codes and QR picture of the second factor
	github.com/pressly/goose/v3 v3.29.0 // migrations, embedded, locked
	github.com/prometheus/client_golang v1.25.0 // metrics
	github.com/redis/go-redis/v9 v9.23.0 // Redis
	github.com/rs/zerolog v1.28.0 // toxiproxy wants its logger
	github.com/stretchr/testify v1.12.1 // test assertions
	github.com/stripe/stripe-go/v76 v76.25.0 // payments: Stripe's API of 2023-10-16
	github.com/swaggest/swgui v1.8.5 // Swagger UI from our own files
	github.com/tink-crypto/tink-go/v2 v2.9.0 // sealing with key rotation
	github.com/wneessen/go-mail v0.8.1 // composing and sending mail
	go.opentelemetry.io/otel v1.47.0 // traces
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp v1.47.0 // traces to a collector over HTTP
	go.opentelemetry.io/otel/sdk v1.47.0 // traces, in batches
	go.opentelemetry.io/otel/trace v1.47.0 // traces
	go.opentelemetry.io/proto/otlp v1.11.0 // what a collector of traces hears, in tests
	go.yaml.in/yaml/v3 v3.0.5 // faults of the simulated Google, from a file
	golang.org/x/crypto v0.58.0 // bcrypt
	golang.org/x/net v0.62.0 // charsets, public suffixes
	golang.org/x/oauth2 v0.37.0 // Google consent, PKCE
	golang.org/x/sync v0.24.0 // errgroup
	golang.org/x/sys v0.49.0 // scheduling of the threads that hash
	golang.org/x/text v0.43.0 // NFKC of addresses and passwords
	google.golang.org/api v0.311.0 // Gmail
	google.golang.org/protobuf v1.36.12 // what a collector of traces hears, in tests
	gorm.io/driver/postgres v1.6.3 // gorm on pgx
	gorm.io/gorm v1.31.2 // ORM of the store
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	github.com/chromedp/cdproto v0.159.0 // what browser tests hear of a page
	github.com/chromedp/chromedp v0.23.0 // pages in a real browser, in tests
)

require (
	cloud.google.com/go/auth v0.24.1-0.20261001053825-dbc26066f70a // indirect
	cloud.google.com/go/auth/oauth2adapt v0.3.1 // indirect
	cloud.google.com/go/compute/metadata v0.10.0 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6 // indirect
	github.com/felixge/httpsnoop v1.1.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/go-openapi/jsonpointer v1.0.0 // indirect
	github.com/google/s2a-go v0.1.11 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/googleapis/enterprise-certificate-proxy v0.3.24 // indirect
	github.com/googleapis/gax-go/v2 v2.27.0 // indirect
	github.com/gorilla/mux v1.8.1 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.30.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/jinzhu/inflection v1.0.0 // indirect
	github.com/jinzhu/now v1.1.5 // indirect
	github.com/labstack/gommon v0.5.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/mschoch/smat v0.2.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/robfig/cron/v3 v3.0.1 // indirect
	github.com/rs/xid v1.4.0 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/sethvargo/go-retry v0.5.0 // indirect
	github.com/spf13/cast v1.10.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasttemplate v1.2.2 // indirect
	github.com/vearutop/statigz v1.4.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.72.0 // indirect
	go.opentelemetry.io/otel/exporters/otlp/otlptrace v1.47.0 // indirect
	go.opentelemetry.io/otel/log v1.47.0 // indirect
	go.opentelemetry.io/otel/metric v1.47.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20261012220534-4341edf3f941 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e // indirect
	google.golang.org/grpc v1.85.0 // indirect
	gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7 // indirect
)
