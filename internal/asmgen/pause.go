package main

func init() {
	register("hw/pause_amd64.s", "!purego", func(f *file) {
		f.text("pause", "func pause()", 0)
		f.i("PAUSE")
		f.i("RET")
	})
	register("hw/pause_arm64.s", "!purego", func(f *file) {
		f.text("pause", "func pause()", 0)
		f.i("YIELD")
		f.i("RET")
	})
}
