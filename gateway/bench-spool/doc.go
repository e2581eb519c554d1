// Command bench-spool measures what making records durable costs, and prints tables in Markdown.
//
//	bench-spool [-dir FOLDER] [-image=false] [-pairs 5] [-slice 400ms] [-groups 1,10,100] [-records 10000000] [-iops 0]
//
// commit: records of 200 bytes that are durable when they are acknowledged, by records a commit, beside a bare loop that
// appends and syncs, and a bare loop that overwrites a file made beforehand. The three take turns (A B C C B A),
// and each figure is the median over the turns. Device bytes, writes and flushes are the block device's own
// count (/sys/dev/block/*/stat); beside them stand the bytes and syncs that the spool counts itself. The spool is in its
// steady state: every segment that it begins is one that it let go.
//
// Run by root, the folder is a file system of its own in an image (losetup, mkfs.ext4, mount), so that nobody else
// writes to the device that is counted. Without that the figures of the device are the machine's, and the table says so. With
// -iops the device takes no more writes a second of this process than that (cgroup v1 blkio), as a slow card does; the
// journal of the file system writes beside that, so only the last two ways can be compared.
//
// open: a spool of 10 GiB and 10 million records, made by the spool itself over a file system that stores no
// records, is opened: time, reads, memory.
package main
