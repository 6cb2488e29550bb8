package hw

import "syscall"

// madvCollapse is MADV_COLLAPSE (Linux 6.1 and later).
const madvCollapse = 25

// largePage is the size that x86-64 and arm64 with pages of 4 KB have.
const largePage = 2 << 20

func largePages(at, bytes uintptr) {
	lo, hi := at&^(largePage-1), (at+bytes+largePage-1)&^(largePage-1)
	// Advice: a system that does not know it, or has no such page free, leaves things as they are.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, lo, hi-lo, madvCollapse)
}
