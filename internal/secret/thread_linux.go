package secret

import "syscall"

// nicer lowers the calling thread's priority. Where that is not allowed it stays as it is.
func nicer(by int) {
	const threadItself = 0
	now, err := syscall.Getpriority(syscall.PRIO_PROCESS, threadItself) // the kernel answers 20 less the niceness
	if err != nil {
		return
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, threadItself, 20-now+by); err != nil {
		return
	}
}
