package secret

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// QR is a text as a QR code: Path draws its dark squares in an SVG of Side by Side units, the quiet edge of four units included.
type QR struct {
	Path string
	Side int
}

// quiet is the edge that a QR code must have, in its squares.
const quiet = 4

// DrawQR draws a text.
func DrawQR(text string) (QR, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return QR{}, fmt.Errorf("draw QR code: %w", err)
	}
	var b strings.Builder
	side := code.Bounds().Dx()
	for y := range side {
		for x := 0; x < side; x++ {
			from := x
			for x < side && dark(code.At(x, y).RGBA()) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return QR{Path: b.String(), Side: side + 2*quiet}, nil
}

func dark(red, _, _, _ uint32) bool { return red == 0 }
