package secret

import (
	"fmt"
	"testing"

	"github.com/boombuler/barcode/qr"
	"github.com/stretchr/testify/require"
)

// The path has each dark square of the code and no other.
func TestAQRCodeIsDrawnSquareBySquare(t *testing.T) {
	t.Parallel()
	text := NewTOTP().URL("Mailsweep", "ada@mail.example")
	drawn, err := DrawQR(text)
	require.NoError(t, err)
	code, err := qr.Encode(text, qr.M, qr.Auto)
	require.NoError(t, err)
	require.Equal(t, code.Bounds().Dx()+8, drawn.Side)
	have := map[[2]int]bool{}
	for rest := drawn.Path; rest != ""; {
		var x, y, wide, back int
		n, err := fmt.Sscanf(rest, "M%d %dh%dv1h-%dz", &x, &y, &wide, &back)
		require.NoError(t, err, n)
		require.Equal(t, wide, back)
		for i := range wide {
			have[[2]int{x + i - 4, y - 4}] = true
		}
		rest = rest[len(fmt.Sprintf("M%d %dh%dv1h-%dz", x, y, wide, back)):]
	}
	for y := range code.Bounds().Dy() {
		for x := range code.Bounds().Dx() {
			red, _, _, _ := code.At(x, y).RGBA()
			require.Equal(t, red == 0, have[[2]int{x, y}], "%d %d", x, y)
		}
	}
}
