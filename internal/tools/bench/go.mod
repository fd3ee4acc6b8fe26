module mailsweep/internal/tools/bench

go 1.26.0

require (
	github.com/hibiken/asynq v0.26.0 // the worker pool alone
	github.com/jackc/pgx/v5 v5.12.0 // River's driver
	github.com/labstack/echo/v4 v4.16.0 // the bare handler
	github.com/redis/go-redis/v9 v9.23.0 // asynq's client
	github.com/riverqueue/river v0.51.1 // the peer on PostgreSQL
	github.com/riverqueue/river/riverdriver/riverpgxv5 v0.51.1 // River on pgx
)

require (
	github.com/labstack/gommon v0.5.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.22 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasttemplate v1.2.2 // indirect
	golang.org/x/crypto v0.53.0 // indirect
	golang.org/x/net v0.56.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
