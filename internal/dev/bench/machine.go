package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine names what the figures were measured on.
func machine() string {
	return fmt.Sprintf("%s, %d cores, %s, %s; PostgreSQL and Redis private, on loopback, with fsync.",
		processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
}

func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for text := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(text, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// run runs a program in dir to its end.
func run(ctx context.Context, dir string, out io.Writer, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s %s: %w", program, strings.Join(args, " "), err)
	}
	return nil
}

// tick is the unit of a process's times under /proc on every Linux of today: 1/100 s (sysconf(_SC_CLK_TCK)).
const tick = 10 * time.Millisecond

// busy is the processor time that a process has used, its own and the kernel's for it.
func busy(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the times of process %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // a program's name may hold spaces
	var user, system int64
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the times of process %d: %q", pid, raw)
	}
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, fmt.Errorf("read the times of process %d: %w", pid, err)
	}
	return time.Duration(user+system) * tick, nil
}

// What /proc tells of a process's memory: what is resident, the most that ever was, and what of it is no file's.
const (
	resident  = "VmRSS"
	peak      = "VmHWM"
	ownMemory = "RssAnon"
)

// memoryOf is a process's memory in bytes.
func memoryOf(pid int, what string) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(raw), what+":")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return kb << 10, nil
}
