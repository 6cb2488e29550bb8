package main

import (
	"fmt"
	"testing"
)

// TestAMXEncodings holds the encoder against bytes that binutils' objdump
// decodes as the instruction named.
func TestAMXEncodings(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{amxVEX(amxNP, 0x49, 0, 0, amxRegs["AX"], -1), "c4 e2 78 49 00"},                // ldtilecfg [rax]
		{amxVEX(amxNP, 0x49, 0, 0, 0, -2), "c4 e2 78 49 c0"},                            // tilerelease
		{amxVEX(amxF2, 0x49, 3, 0, 0, -2), "c4 e2 7b 49 d8"},                            // tilezero tmm3
		{amxVEX(amxF2, 0x4B, 6, 0, amxRegs["DI"], amxRegs["R9"]), "c4 a2 7b 4b 34 0f"},  // tileloadd tmm6, [rdi+r9]
		{amxVEX(amxF2, 0x4B, 7, 0, amxRegs["R11"], amxRegs["R9"]), "c4 82 7b 4b 3c 0b"}, // tileloadd tmm7, [r11+r9]
		{amxVEX(amx66, 0x4B, 6, 0, amxRegs["DI"], amxRegs["R9"]), "c4 a2 79 4b 34 0f"},  // tileloaddt1 tmm6, [rdi+r9]
		{amxVEX(amxF3, 0x4B, 0, 0, amxRegs["DX"], amxRegs["R8"]), "c4 a2 7a 4b 04 02"},  // tilestored [rdx+r8], tmm0
		{amxVEX(amxF3, 0x5C, 0, 6, 4, -2), "c4 e2 4a 5c c4"},                            // tdpbf16ps tmm0, tmm4, tmm6
		{amxVEX(amxF2, 0x5E, 3, 7, 5, -2), "c4 e2 43 5e dd"},                            // tdpbssd tmm3, tmm5, tmm7
		{evexBF16(amxF3, 0x52, 0, 17, 30), "62 92 76 40 52 c6"},                         // vdpbf16ps zmm0, zmm17, zmm30
		{evexBF16(amxF3, 0x72, 3, 0, 9), "62 d2 7e 48 72 d9"},                           // vcvtneps2bf16 ymm3, zmm9
		{evexBF16(amxF2, 0x72, 4, 1, 0), "62 f2 77 48 72 e0"},                           // vcvtne2ps2bf16 zmm4, zmm1, zmm0
	} {
		if got := fmt.Sprintf("% x", c.got); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
