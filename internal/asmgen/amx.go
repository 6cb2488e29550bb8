package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Go's assembler knows no tile instructions, so they are printed as bytes: VEX
// with three prefix bytes, map 0F38, W0, L0. Checked against binutils' objdump.

// amxRegs numbers the general registers as the processor does.
var amxRegs = map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9, "R10": 10, "R11": 11, "R12": 12}

const amxNP, amx66, amxF3, amxF2 = 0, 1, 2, 3 // the mandatory prefix that VEX folds in

// amxVEX encodes an instruction of map 0F38 whose rm is a register (index < -1),
// a memory operand (base) (index -1) or (base)(index*1).
func amxVEX(pp, op byte, reg, vvvv, rm, index int) []byte {
	clear := func(n, bit int) byte { // the prefix stores these bits inverted
		if n&8 != 0 {
			return 0
		}
		return 1 << bit
	}
	o := []byte{0xC4, clear(reg, 7) | clear(max(index, 0), 6) | clear(rm, 5) | 2, byte(^vvvv&15)<<3 | pp, op}
	switch {
	case index < -1:
		return append(o, 0xC0|byte(reg&7)<<3|byte(rm&7))
	case index == -1:
		return append(o, byte(reg&7)<<3|byte(rm&7))
	}
	return append(o, byte(reg&7)<<3|4, byte(index&7)<<3|byte(rm&7))
}

// evexBF16 encodes an instruction of map 0F38 on 512 bits whose operands are
// registers: reg, vvvv (0 where there is none) and rm.
func evexBF16(pp, op byte, reg, vvvv, rm int) []byte {
	inv := func(n, bit, to int) byte { return byte(^n>>bit&1) << to }
	return []byte{0x62, inv(reg, 3, 7) | inv(rm, 4, 6) | inv(rm, 3, 5) | inv(reg, 4, 4) | 2,
		byte(^vvvv&15)<<3 | 4 | pp, 0x40 | inv(vvvv, 4, 3), op, 0xC0 | byte(reg&7)<<3 | byte(rm&7)}
}

// cvtPair is Zd = bfloat16 of Zlo in the lower and of Zhi in the upper half.
func (f *file) cvtPair(lo, hi, d int) {
	f.amxBytes(evexBF16(amxF2, 0x72, d, hi, lo), fmt.Sprintf("VCVTNE2PS2BF16 Z%d, Z%d, Z%d", lo, hi, d))
}

// cvtHalf is Yd = bfloat16 of Zs.
func (f *file) cvtHalf(s, d int) {
	f.amxBytes(evexBF16(amxF3, 0x72, d, 0, s), fmt.Sprintf("VCVTNEPS2BF16 Z%d, Y%d", s, d))
}

func (f *file) amxBytes(b []byte, comment string) {
	var s []string
	for _, x := range b {
		s = append(s, fmt.Sprintf("BYTE $0x%02X", x))
	}
	f.i("%s // %s", strings.Join(s, "; "), comment)
}

func (f *file) amxLoadConfig(base string) {
	f.amxBytes(amxVEX(amxNP, 0x49, 0, 0, amxRegs[base], -1), fmt.Sprintf("LDTILECFG (%s)", base))
}

func (f *file) amxRelease() { f.amxBytes(amxVEX(amxNP, 0x49, 0, 0, 0, -2), "TILERELEASE") }

func (f *file) amxLoad(base, stride string, t int) {
	f.amxBytes(amxVEX(amxF2, 0x4B, t, 0, amxRegs[base], amxRegs[stride]), fmt.Sprintf("TILELOADD (%s)(%s*1), TMM%d", base, stride, t))
}

// amxLoadAt is amxLoad at a distance from base.
func (f *file) amxLoadAt(disp int, base, stride string, t int) {
	f.amxLoadFar("TILELOADD", amxF2, disp, base, stride, t)
}

// amxStream is amxLoadAt for what will not be read again soon.
func (f *file) amxStream(disp int, base, stride string, t int) {
	f.amxLoadFar("TILELOADDT1", amx66, disp, base, stride, t)
}

func (f *file) amxLoadFar(name string, pp byte, disp int, base, stride string, t int) {
	o := amxVEX(pp, 0x4B, t, 0, amxRegs[base], amxRegs[stride])
	o[len(o)-2] |= 0x80 // a distance of four bytes follows
	f.amxBytes(binary.LittleEndian.AppendUint32(o, uint32(disp)), fmt.Sprintf("%s %d(%s)(%s*1), TMM%d", name, disp, base, stride, t))
}

func (f *file) amxStore(t int, base, stride string) {
	f.amxBytes(amxVEX(amxF3, 0x4B, t, 0, amxRegs[base], amxRegs[stride]), fmt.Sprintf("TILESTORED TMM%d, (%s)(%s*1)", t, base, stride))
}

// amxDotBF16 is TMM c += TMM a * TMM b in bfloat16 pairs.
func (f *file) amxDotBF16(b, a, c int) {
	f.amxBytes(amxVEX(amxF3, 0x5C, c, b, a, -2), fmt.Sprintf("TDPBF16PS TMM%d, TMM%d, TMM%d", b, a, c))
}

// amxDotInt8 is the same in groups of four signed bytes.
func (f *file) amxDotInt8(b, a, c int) {
	f.amxBytes(amxVEX(amxF2, 0x5E, c, b, a, -2), fmt.Sprintf("TDPBSSD TMM%d, TMM%d, TMM%d", b, a, c))
}

func init() {
	register("hw/amx_amd64.s", "!purego", func(f *file) {
		for _, v := range []struct {
			name, args string
			dot        func(b, a, c int)
		}{
			{"amxBF16", "cfg *[64]byte, a, b *[512]uint16, c *[256]float32", f.amxDotBF16},
			{"amxInt8", "cfg *[64]byte, a, b *[1024]int8, c *[256]int32", f.amxDotInt8},
		} {
			f.text(v.name, fmt.Sprintf("func %s(%s)", v.name, v.args), 32)
			f.i("MOVQ cfg+0(FP), AX")
			f.i("MOVQ a+8(FP), SI")
			f.i("MOVQ b+16(FP), DI")
			f.i("MOVQ c+24(FP), DX")
			f.i("MOVQ $64, R9")
			f.amxLoadConfig("AX")
			f.amxLoad("DX", "R9", 0)
			f.amxLoad("SI", "R9", 1)
			f.amxLoad("DI", "R9", 2)
			v.dot(2, 1, 0)
			f.amxStore(0, "DX", "R9")
			f.amxRelease()
			f.i("RET")
		}
	})
}
