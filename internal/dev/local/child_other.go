//go:build !linux

package local

import "syscall"

// childAttr puts a child into a process group of its own. Only Linux ends it with its parent; elsewhere the next start
// ends what a killed run left.
func childAttr(as *account, _ syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)}
	}
	return attr
}
