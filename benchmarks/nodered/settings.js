// Node-RED without its editor: only the flow runs. The pool is node-postgres, the driver that the
// PostgreSQL nodes of Node-RED wrap, so no wrapper slows the peer down.
const { Pool } = require("pg");

module.exports = {
    httpAdminRoot: false,
    httpNodeRoot: false,
    uiHost: "127.0.0.1",
    uiPort: 0,
    logging: { console: { level: "warn", metrics: false, audit: false } },
    telemetry: { enabled: false, updateNotification: false },
    functionGlobalContext: {
        pool: new Pool({
            host: process.env.BENCH_POSTGRES_HOST,
            user: "broadcast",
            database: "broadcast",
            max: 10,
        }),
        batch: { rows: [], timer: null },
    },
};
