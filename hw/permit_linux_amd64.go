//go:build !purego

package hw

import (
	"fmt"
	"syscall"
)

// permitAMX asks Linux (5.16 and later) to let the process use tile data; see
// Documentation/arch/x86/xstate.rst in its source. Permission holds for all
// threads, those that exist already too.
func permitAMX() error {
	const archReqXcompPerm, xfeatureXTileData = 0x1023, 18
	if _, _, e := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXcompPerm, xfeatureXTileData, 0); e != 0 {
		return fmt.Errorf("%w: arch_prctl: %w", errNoAMX, e)
	}
	return nil
}
