package hw

import "unsafe"

// largeBytes is the least memory that LargePages cares for.
const largeBytes = 512 << 10

// LargePages asks the system to gather the memory of a long slice in pages of
// 2 MB. It changes no value. A core that reads pages of 4 KB one after another
// stops at each of them to look up the next: weights that are read for every
// token come up to one and a half times as fast from large ones. It costs a copy
// of the memory, once, and does nothing for less than 512 KB or where the
// system offers no such thing.
func LargePages[T any](s []T) {
	if n := uintptr(len(s)) * unsafe.Sizeof(*new(T)); n >= largeBytes {
		largePages(uintptr(unsafe.Pointer(unsafe.SliceData(s))), n)
	}
}
