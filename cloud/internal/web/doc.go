// Package web serves the console: the files that cloud/ui was built into, embedded.
//
// # Promises
//
//   - A file whose name carries a hash of its content may be kept for a year; index.html is asked for each time.
//   - Where a .br or .gz stands beside a file and the browser takes it, that is sent; nothing is compressed
//     while somebody waits.
//   - Every answer carries a content security policy that lets the page load and run what comes from here
//     and nothing else, and may be framed by nobody.
//   - /run/ is the courier's page; it alone may use the camera, and its worker (/run/sw.js) keeps nothing outside /run/ but the files it needs.
//   - A checkout where the console wasn't built yet compiles and serves one page that says so.
//
// It holds no data: a page is the same for everybody, logged in or not.
package web
