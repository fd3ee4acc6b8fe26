package local

import "syscall"

// childAttr puts a child into a process group of its own, so that Ctrl-C reaches us alone and we choose the order of
// the stop, and has the kernel send it deathSignal when the thread that started it ends.
func childAttr(as *account, deathSignal syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
	}
	return attr
}
