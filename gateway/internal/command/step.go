package command

import "context"

// A Stepper does what Run does, one step at a time and in the caller's goroutine: a simulation drives it in place of
// Run.
type Stepper struct {
	c      *Commands
	untold []entry
}

// Stepper begins, as Run does.
func (c *Commands) Stepper() *Stepper { return &Stepper{c, c.resume()} }

// Step runs the commands that wait, and tells what is to be told. What can't be kept now is told in a later step.
func (s *Stepper) Step(ctx context.Context) {
	for {
		select {
		case j := <-s.c.queue:
			s.c.handle(ctx, j)
			continue
		case e := <-s.c.owed:
			s.untold = append(s.untold, e)
			continue
		default:
		}
		break
	}
	var rest []entry
	for _, e := range s.untold {
		if !s.c.told(ctx, &e, s.c.result(&e)) {
			rest = append(rest, e)
		}
	}
	s.untold = rest
}
