package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// tune plays a few bars, samples [length][channels], silent after the first
// playing: plucked strings going through four chords, and a drum on each beat.
func tune(playing, length int) []float32 {
	const step = rate / 5 // five notes a second
	u := make([]float32, length*channels)
	rng := rand.New(rand.NewPCG(1, 0))
	chords := [][]int{{45, 57, 60, 64, 69, 64}, {41, 53, 57, 60, 65, 60}, {48, 55, 60, 64, 67, 64}, {43, 55, 59, 62, 67, 62}}
	for i := 0; i*step < playing; i++ {
		at := u[i*step*channels : playing*channels]
		chord := chords[i/12%len(chords)]
		note := chord[i%len(chord)]
		pluck(at, 440*math.Pow(2, float64(note-69)/12), float64(i%3)/2, rng)
		switch i % 6 {
		case 0:
			drum(at, 60, 0.5, 0, rng)
		case 3:
			drum(at, 180, 0.2, 0.3, rng)
		}
	}
	return u
}

// pluck is a string (Karplus and Strong 1983): noise goes round a loop as long
// as a period, and each time neighbours are averaged. pan is 0 for left, 1 for right.
func pluck(u []float32, pitch, pan float64, rng *rand.Rand) {
	loop := make([]float64, int(rate/pitch))
	for i := range loop {
		loop[i] = rng.Float64() - 0.5
	}
	for t := range min(2*rate, len(u)/channels) {
		i := t % len(loop)
		v := loop[i]
		loop[i] = 0.498 * (v + loop[(i+1)%len(loop)])
		u[t*channels] += float32(v * (1 - 0.7*pan))
		u[t*channels+1] += float32(v * (0.3 + 0.7*pan))
	}
}

// drum is a tone that falls in pitch, and noise for the skin.
func drum(u []float32, pitch, tone, noise float64, rng *rand.Rand) {
	phase := 0.0
	for t := range min(rate/3, len(u)/channels) {
		seconds := float64(t) / rate
		phase += 2 * math.Pi * pitch * (1 + 2*math.Exp(-40*seconds)) / rate
		v := math.Exp(-12*seconds)*tone*math.Sin(phase) + math.Exp(-25*seconds)*noise*(2*rng.Float64()-1)
		for c := range channels {
			u[t*channels+c] += float32(v)
		}
	}
}

// wav is a WAV file of 16-bit samples, the loudest just below full scale.
func wav(samples []float32) []byte {
	le := binary.LittleEndian
	n := 2 * len(samples)
	b := append(make([]byte, 0, 44+n), "RIFF"...)
	b = le.AppendUint32(b, uint32(36+n))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)              // bytes of the format that follows
	b = le.AppendUint16(b, 1)               // PCM
	b = le.AppendUint16(b, channels)        //
	b = le.AppendUint32(b, rate)            //
	b = le.AppendUint32(b, rate*channels*2) // bytes a second
	b = le.AppendUint16(b, channels*2)      // bytes of a sample of all channels
	b = le.AppendUint16(b, 16)              // bits
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(n))
	scale := 0.95 * 32767 / max(peak(samples), 1e-9)
	for _, v := range samples {
		b = le.AppendUint16(b, uint16(int16(math.Round(float64(v)*scale))))
	}
	return b
}

// readWAV gives the samples [length][channels] of a WAV file of 16-bit samples,
// both channels the same if it has one.
func readWAV(b []byte) ([]float32, error) {
	le := binary.LittleEndian
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("not a WAV file: want RIFF and WAVE at its start")
	}
	from := 0 // channels of the file
	for b = b[12:]; len(b) >= 8; {
		name, n := string(b[:4]), int64(le.Uint32(b[4:]))
		if b = b[8:]; name == "data" {
			n = min(n, int64(len(b))) // a recording that was cut off is still sound
		}
		if n > int64(len(b)) {
			return nil, fmt.Errorf("its part %q wants %d bytes, %d are left", name, n, len(b))
		}
		part := b[:n]
		switch {
		case name == "fmt " && n >= 16:
			format, chans, speed, bits := le.Uint16(part), int(le.Uint16(part[2:])), le.Uint32(part[4:]), le.Uint16(part[14:])
			if format != 1 || chans < 1 || chans > channels || speed != rate || bits != 16 {
				return nil, fmt.Errorf("%d channels of format %d with %d bits, %d a second: want 1 or %d of format 1 (PCM) with 16 bits, %d a second", chans, format, bits, speed, channels, rate)
			}
			from = chans
		case name == "data" && from > 0 && len(part) >= 2*from:
			u := make([]float32, len(part)/(2*from)*channels)
			for i := range u {
				u[i] = float32(int16(le.Uint16(part[2*(i*from/channels):]))) / 32768
			}
			return u, nil
		}
		b = b[min(n+n%2, int64(len(b))):]
	}
	return nil, errors.New("no sound in the file: want a format and data after it")
}
