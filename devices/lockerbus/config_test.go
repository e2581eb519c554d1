package lockerbus

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigDefaults(t *testing.T) {
	c := Config{Port: "serial:/dev/ttyUSB0", Feedback: OpenShort, Boards: []Board{{Board: 1, Cells: 12}, {Board: 2, Cells: 30}, {Board: 3, Cells: 40, FirstCell: 100, Feedback: LockedShort}}}
	require.NoError(t, c.Validate())
	c = c.withDefaults()
	require.Equal(t, 500*time.Millisecond, c.Every)
	require.Equal(t, []Board{ // the sizes of the family
		{Board: 1, Cells: 12, FirstCell: 1, Doors: 24, Feedback: OpenShort, BitmapOneMeans: Open},
		{Board: 2, Cells: 30, FirstCell: 13, Doors: 32, Feedback: OpenShort, BitmapOneMeans: Open},
		{Board: 3, Cells: 40, FirstCell: 100, Doors: 50, Feedback: LockedShort, BitmapOneMeans: Locked},
	}, c.Boards)
}

func TestConfigErrorsNameTheirKeys(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"port: ", "feedback: must be", "boards: is empty"}},
		{"wrong words", func(c *Config) {
			c.Feedback, c.BitmapOneMeans, c.Occupancy, c.ItemOneMeans = "x", "y", "z", "w"
			c.Boards[0].Feedback = "v"
		}, []string{`feedback: "x"`, `bitmap_one_means: "y"`, `occupancy: "z"`, `item_one_means: "w"`, `boards[0].feedback: "v"`}},
		{"times out of range", func(c *Config) {
			c.Every, c.Timeout, c.Gap, c.OpenAlarm = time.Hour, time.Hour, time.Hour, time.Nanosecond
		}, []string{"every: ", "timeout: ", "gap: ", "open_alarm: "}},
		{"a wrong word is told once", func(c *Config) { c.Feedback = "x" }, []string{`feedback: "x"`}},
		{"function", func(c *Config) { c.ReadAllFunction = 0x34 }, []string{"read_all_function: 0x34"}},
		{"address", func(c *Config) { c.Boards[0].Board = 33 }, []string{"boards[0].board: 33 is outside 1 to 32"}},
		{"address twice", func(c *Config) {
			c.Occupancy = SecondBoard
			c.Boards = []Board{{Board: 1, Cells: 3, ItemBoard: 2}, {Board: 2, Cells: 3}}
		}, []string{"boards[1].board: address 2 is taken by boards[0].item_board"}},
		{"cells twice", func(c *Config) {
			c.Boards = []Board{{Board: 1, Cells: 3}, {Board: 2, Cells: 3, FirstCell: 3}}
		}, []string{"boards[1].first_cell: cell 3 is on boards[0] already"}},
		{"too many cells", func(c *Config) { c.Boards[0].Cells = 51 }, []string{"boards[0].cells: 51"}},
		{"no cells", func(c *Config) { c.Boards[0].Cells = 0 }, []string{"boards[0].cells: 0"}},
		{"fewer doors than cells", func(c *Config) { c.Boards[0].Doors = 2 }, []string{"boards[0].doors: 2 is outside 3 to 56"}},
		{"cells past 1024", func(c *Config) { c.Boards[0].FirstCell = 1023 }, []string{"boards[0].first_cell: cells 1023 to 1025"}},
		{"items unasked", func(c *Config) { c.Boards[0].ItemBoard = 2 }, []string{"boards[0].item_board: needs occupancy"}},
		{"family", func(c *Config) { c.Family = "kr-cu99" }, []string{`family: "kr-cu99" is none of 8a80, kr-cu12`}},
		{"infrared of boards that have none", func(c *Config) { c.Occupancy = Infrared }, []string{"occupancy: 8a80 boards tell no items"}},
		{"another family's function", func(c *Config) { c.Family, c.ReadAllFunction = KRCU16, 0x99 }, []string{"read_all_function: is of the family 8a80"}},
		{"too many cells of a KR-CU16", func(c *Config) { c.Family = KRCU16; c.Boards[0].Cells = 17 }, []string{"boards[0].cells: 17 is outside 1 to 16"}},
		{"address of all KR-CU16", func(c *Config) { c.Family = KRCU16; c.Boards[0].Board = 15 }, []string{"boards[0].board: 15 is outside 0 to 14"}},
		{"doors of a KR-CU48", func(c *Config) { c.Family = KRCU48; c.Boards[0].Doors = 24 }, []string{"boards[0].doors: 24, and a kr-cu48 has 48"}},
		{"items nowhere", func(c *Config) { c.Occupancy = SecondBoard }, []string{"occupancy: second_board"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := doorsOnly()
			c.edit(&cfg)
			err := cfg.Validate()
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), err)
			for i, w := range c.want {
				require.True(t, strings.HasPrefix(lines[i], w), "%q begins no %q", w, lines[i])
			}
		})
	}
}

func TestConfigOfKerong(t *testing.T) {
	c := Config{Port: "serial:/dev/ttyUSB0?baud=19200", Family: KRCU12, Occupancy: Infrared, Boards: []Board{{Board: 0, Cells: 12}, {Board: 9, Cells: 20}}}
	require.NoError(t, c.Validate())
	require.Equal(t, []Board{
		{Board: 0, Cells: 12, FirstCell: 1, Doors: 12, Feedback: LockedShort, BitmapOneMeans: Locked},
		{Board: 9, Cells: 20, FirstCell: 13, Doors: 24, Feedback: LockedShort, BitmapOneMeans: Locked},
	}, c.withDefaults().Boards)
}
