/* Mosquitto plugin: what one loudspeaker may publish, whoever holds its password.
 *
 * For the listener of the devices. An ACL says to which topics; it cannot say how much, nor forbid
 * the retain flag. What is refused here is thrown away, as with an ACL: the device does not notice,
 * and what matters, its journal, it says again until the server confirms.
 *
 *   cc -shared -fPIC -O2 -o device-limits.so mosquitto-device-limits.c   (mosquitto-dev)
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

/* Largest event of the contract: MAX_EVENT_BYTES of broadcast.wire.codec. */
#define LARGEST 65536.0
/* A journal of seven days, said at once; then a heartbeat a minute and a play now and then. */
#define MESSAGES_AT_ONCE 5000.0
#define MESSAGES_A_SECOND 2.0
#define BYTES_AT_ONCE (8.0 * 1024 * 1024)
#define BYTES_A_SECOND (8.0 * 1024)

#define ALLOWANCES 65536

/* Of one user; of two with the same hash, which are one pair in 65,536. */
static struct allowance {
	double filled_at; /* 0: never used, all of it is there */
	double messages;
	double bytes;
} allowances[ALLOWANCES];

static mosquitto_plugin_id_t *plugin;

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct allowance *allowance_of(const char *user)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *user; user++) hash = (hash ^ (unsigned char)*user) * 16777619u;
	return &allowances[(hash ^ hash >> 16) % ALLOWANCES];
}

static double least(double one, double other)
{
	return one < other ? one : other;
}

static bool may_take(const char *user, double bytes)
{
	struct allowance *left = allowance_of(user);
	double at = now();
	double waited = left->filled_at == 0 ? 1e9 : at - left->filled_at;
	left->messages = least(MESSAGES_AT_ONCE, left->messages + waited * MESSAGES_A_SECOND);
	left->bytes = least(BYTES_AT_ONCE, left->bytes + waited * BYTES_A_SECOND);
	left->filled_at = at;
	if (left->messages < 1 || left->bytes < bytes) return false;
	left->messages -= 1;
	left->bytes -= bytes;
	return true;
}

static int on_acl_check(int event, void *data, void *unused)
{
	struct mosquitto_evt_acl_check *asked = data;
	(void)event, (void)unused;
	if (asked->access != MOSQ_ACL_WRITE) return MOSQ_ERR_PLUGIN_DEFER;
	const char *user = mosquitto_client_username(asked->client);
	if (user == NULL || asked->retain || asked->payloadlen > LARGEST) return MOSQ_ERR_ACL_DENIED;
	/* A topic takes room as well: count it, and what the broker keeps of every message. */
	double bytes = (double)asked->payloadlen + (double)strlen(asked->topic) + 64;
	return may_take(user, bytes) ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_ACL_DENIED;
}

int mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++)
		if (versions[i] == 5) return 5;
	return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata,
			  struct mosquitto_opt *options, int count)
{
	(void)userdata, (void)options, (void)count;
	plugin = id;
	return mosquitto_callback_register(plugin, MOSQ_EVT_ACL_CHECK, on_acl_check, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
	(void)userdata, (void)options, (void)count;
	return mosquitto_callback_unregister(plugin, MOSQ_EVT_ACL_CHECK, on_acl_check, NULL);
}
