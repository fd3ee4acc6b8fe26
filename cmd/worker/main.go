// Command worker does the jobs: it opens mailboxes and sends mail.
package main

import (
	"os"

	"mailsweep/internal/app"
	"mailsweep/internal/config"
)

func main() { os.Exit(app.Main(config.Worker, app.RunWorker)) }
