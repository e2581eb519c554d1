package firmware

import "golang.org/x/sys/unix"

// speeds are the line speeds that modules in the field are set to.
var speeds = map[uint32]int{
	unix.B9600: 9600, unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200,
}

// Speed is what the gateway's end of the cable is set to, 0 when that is none of the usual.
func (l *Line) Speed() (baud int) {
	_ = control(l.cable, func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			baud = speeds[t.Cflag&unix.CBAUD]
		}
		return err
	})
	return baud
}
