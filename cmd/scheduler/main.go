// Command scheduler does what falls due and mends what got lost.
package main

import (
	"os"

	"mailsweep/internal/app"
	"mailsweep/internal/config"
)

func main() { os.Exit(app.Main(config.Scheduler, app.RunScheduler)) }
