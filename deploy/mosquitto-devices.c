/* Mosquitto plugin: what one loudspeaker may do, whoever holds its key or password.
 *
 * For the listeners of the devices. An ACL says to which topics a device may publish; it cannot say
 * how much, nor forbid the retain flag. And a certificate that was revoked, or a password that was
 * taken back, keeps nobody out who is already connected.
 *
 *   cc -shared -fPIC -O2 -o broadcast-devices.so mosquitto-devices.c   (mosquitto-dev)
 *
 * What is refused is thrown away, as with an ACL: the device does not notice, and what matters, its
 * journal, it says again until the server confirms.
 *
 * Option `plugin_opt_revoked FILE`: a device code a line, after it `closed` (it may do nothing, and
 * its connection is closed) or `own` (it was taken down: it may speak for itself and read what is
 * its own, no more). It is read at the start and at SIGHUP; one that cannot be read leaves what was
 * read before.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Revoked users, by hash; of this listener's file. */
struct revoked {
	struct revoked *next;
	bool closed;
	char user[];
};

/* One of the listeners that have this plugin. */
struct listener {
	mosquitto_plugin_id_t *id;
	char *file;
	struct revoked *users[4096];
};

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static uint32_t hash_of(const char *user)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *user; user++) hash = (hash ^ (unsigned char)*user) * 16777619u;
	return hash ^ hash >> 16;
}

/* Revoked users. */

static const struct revoked *revoked_user(const struct listener *of, const char *user)
{
	const struct revoked *each = of->users[hash_of(user) % 4096];
	while (each != NULL && strcmp(each->user, user) != 0) each = each->next;
	return each;
}

static void forget(struct revoked **users)
{
	for (int i = 0; i < 4096; i++)
		while (users[i] != NULL) {
			struct revoked *first = users[i];
			users[i] = first->next;
			free(first);
		}
}

static void read_revoked(struct listener *of)
{
	struct revoked **read = calloc(4096, sizeof *read);
	FILE *file = fopen(of->file, "re");
	if (read == NULL || file == NULL) {
		mosquitto_log_printf(MOSQ_LOG_WARNING, "%s: %s; the list before it stays", of->file,
				     strerror(errno));
		if (file != NULL) fclose(file);
		free(read);
		return;
	}
	char user[80], mode[16];
	while (fscanf(file, "%79s %15s", user, mode) == 2) {
		struct revoked *each = malloc(sizeof *each + strlen(user) + 1);
		if (each == NULL) break;
		strcpy(each->user, user);
		each->closed = strcmp(mode, "own") != 0;
		each->next = read[hash_of(user) % 4096];
		read[hash_of(user) % 4096] = each;
	}
	fclose(file);
	forget(of->users);
	memcpy(of->users, read, sizeof of->users);
	free(read);
	for (int i = 0; i < 4096; i++)
		for (struct revoked *each = of->users[i]; each != NULL; each = each->next)
			if (each->closed) mosquitto_kick_client_by_username(each->user, true);
}

/* At SIGHUP, which also has the broker read passwords and revoked certificates again. */
static int on_reload(int event, void *data, void *userdata)
{
	struct listener *of = userdata;
	(void)event, (void)data;
	if (of->file != NULL) read_revoked(of);
	return MOSQ_ERR_SUCCESS;
}

/* How much a device may say. */

static double least(double one, double other)
{
	return one < other ? one : other;
}

static bool may_take(const char *user, double bytes)
{
	struct allowance *left = &allowances[hash_of(user) % ALLOWANCES];
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

/* A topic of the device itself: …/device/{user}/… */
static bool is_own(const char *topic, const char *user)
{
	const char *at = strstr(topic, "/device/");
	size_t length = strlen(user);
	if (at == NULL) return false;
	at += strlen("/device/");
	return strncmp(at, user, length) == 0 && at[length] == '/';
}

static int on_acl_check(int event, void *data, void *userdata)
{
	struct mosquitto_evt_acl_check *asked = data;
	(void)event;
	const char *user = mosquitto_client_username(asked->client);
	if (user == NULL) return MOSQ_ERR_ACL_DENIED;
	const struct revoked *revoked = revoked_user(userdata, user);
	if (revoked != NULL && revoked->closed) return MOSQ_ERR_ACL_DENIED;
	/* It may subscribe: when it hangs again it hears at once what it follows. */
	if (revoked != NULL && asked->access == MOSQ_ACL_READ && !is_own(asked->topic, user))
		return MOSQ_ERR_ACL_DENIED;
	if (asked->access != MOSQ_ACL_WRITE) return MOSQ_ERR_PLUGIN_DEFER;
	if (asked->retain || asked->payloadlen > LARGEST) return MOSQ_ERR_ACL_DENIED;
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
	struct listener *of = calloc(1, sizeof *of);
	if (of == NULL) return MOSQ_ERR_NOMEM;
	of->id = id;
	for (int i = 0; i < count; i++)
		if (strcmp(options[i].key, "revoked") == 0) of->file = strdup(options[i].value);
	*userdata = of;
	if (of->file != NULL) read_revoked(of);
	mosquitto_callback_register(id, MOSQ_EVT_RELOAD, on_reload, NULL, of);
	return mosquitto_callback_register(id, MOSQ_EVT_ACL_CHECK, on_acl_check, NULL, of);
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
	struct listener *of = userdata;
	(void)options, (void)count;
	mosquitto_callback_unregister(of->id, MOSQ_EVT_RELOAD, on_reload, NULL);
	mosquitto_callback_unregister(of->id, MOSQ_EVT_ACL_CHECK, on_acl_check, NULL);
	forget(of->users);
	free(of->file);
	free(of);
	return MOSQ_ERR_SUCCESS;
}
