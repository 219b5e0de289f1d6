"""What others call who clicks, what they do, when, and on what: how well a name says which of them it is.

A name is compared in small letters, without signs and without the wrappers that encodings put around a
value, alone and behind the names it stands below: ``user.id`` and ``userId`` are one.
"""

from collections.abc import Sequence

from clickwarden.formats.cures import plain

#: From here on a name leaves no doubt; below the second it says little.
CERTAIN, TELLING = 80, 45

#: How well a name says it, best first.
NAMES: dict[str, dict[int, str]] = {
    "user_id": {
        100: """
            userid uid useruid useruuid userguid userident useridentifier userkey userno usernumber
        """,
        95: """
            customerid customeruid customeruuid customerno customernumber customerkey accountid memberid
            shopperid buyerid clientuserid customer kundenid kundennummer kundennr benutzerid nutzerid
            idutilisateur idusuario idcliente usuarioid clienteid utilisateurid playerid subscriberid
            personid profileid loginid actorid principalid identityid patronid viewerid consumerid
            useridentityarn userpseudoid distinctid userhash hasheduserid useridhash userhashid
        """,
        90: """
            user username userlogin actorlogin login loginname userprincipalname actoralternateid kunde
            benutzer nutzer utilisateur usuario cliente member account shopper buyer visitor actor
            principal person viewer subscriber customercode accountno accountnumber userref customerref
            usersub sub clicker remoteuser
        """,
        85: """
            anonymousid anonid visitorid visitoruid visitoruuid idvisitor fullvisitorid domainuserid
            networkuserid clientid gaclientid mcvisid ecid visid fpid deviceid deviceuuid idfa gaid
            advertisingid cookieid cookie browserid fingerprint userfingerprint visitorkey installid
            instanceid who whoid author authorid sender senderid requester initiator caller callerid
            msisdn personidentifier deviceidentifier
        """,
        70: """
            useremail customeremail email emailaddress emailhash mail phone phonenumber
        """,
        60: """
            sessionid session sessionuuid sid sessionkey usersession usersessionid sessid jsessionid
            phpsessid domainsessionid visitkey visitid cid subject
        """,
        55: """
            clientip remoteaddr remoteip ipaddress ip clientaddress sourceip sourceaddress userip
            useripaddress remoteaddress ipaddr srcip sourceipaddress clientaddr requestip callerip peer
            remotehost xforwardedfor realip clienthost requestremoteip addr remote client
        """,
    },
    "event": {
        100: """
            event eventname eventtype eventaction useraction eventcode
        """,
        92: """
            action actiontype actionname activity activitytype behavior behaviour behaviortype
            behaviourtype interaction interactiontype operation eventkind aktion ereignis evento
            evenement accion what activityname clicktype hittype eventtitle useractivity
        """,
        75: """
            type verb name method httpmethod requestmethod clientrequestmethod requestverb
            httprequestmethod kind eventcategory category msgtype messagetype
        """,
        50: """
            label status page path route screen screenname url uri title pagetype pageurl pagename
            requestpath pageid channel request
        """,
    },
    "timestamp": {
        100: """
            timestamp eventtime eventtimestamp eventts eventdate eventdatetime eventat occurredat
            occurred occurredon happenedat clicktime clickedat clickts clicktimestamp actiontime
            activitytime collectortstamp timestampms timestampus timestampns timestampmillis
            timestampmicros tstamp eventtimems eventmillis eventepoch eventunixtime visitedat viewtime
            viewedat hittime requesttime hitts eventtimeutc eventcreatedat eventoccurredat zeitstempel
            zeit zeitpunkt horodatage hora
        """,
        92: """
            ts time datetime tsms timems timeus timens when at moment epoch epochms epochmillis unixtime
            unixtimestamp unixts timeunix timeunixnano clienttimestamp clienttime clientts
            devicetimestamp devicetime localtimestamp timeiso8601 timelocal utctime timeutc msec dt
            originaltimestamp deviceeventtime dvcecreatedtstamp derivedtstamp truetstamp starttime
            started startedat startutc edgestarttimestamp t logtime logtimestamp recordedat observedtime
            datetimeutc requestreceivedtimestamp published visittime metadt tm stamp
        """,
        80: """
            createdat created createdts createdtime createdon creationtime creationdate date fecha datum
            insertedat loggedat createtime createdate datecreated createdutc
        """,
        65: """
            sentat senttime sendtime senttimestamp clientsendtime clientuploadtime
        """,
        55: """
            receivedat receivedtime servertime serverts servertimestamp serverreceivedtime
            receivedtimestamp receivetime collectedat arrivaltime edgeendtimestamp servertstamp
            requestreceivedat
        """,
        40: """
            processedat ingestedat ingesttime ingestiontime ingesttimestamp serveruploadtime
            processedtime processingtime etltstamp loadedat updatedat modifiedat lastmodified updated
            tsus observedtimestamp sourcetsms indexedat kafkatimestamp
        """,
    },
    "product_id": {
        100: """
            productid productsku productcode productuid sku skuid itemid itemsku articleid articleno
            asin produktid productno productnumber idproduct iditem
        """,
        90: """
            product item variantid productvariantid article listingid offerid goodsid movieid contentid
            videoid trackid songid bookid adid propertyid roomid hotelid courseid objectid entityid
            assetid resourceid postid repoid documentid jobid
        """,
        60: """
            pageid page path url uri pageurl pageurlpath requesturi requestpath clientrequesturi target
            requestpathname urlpath href resource link productname screen screenname pagepath location
            categoryid category title objectkey reponame productcategory
        """,
    },
}
# fmt: off
#: What stands for the thing beside it and says nothing of who, what and when a click is.
THINGS = frozenset(
    {
        "agent", "app", "application", "brand", "browser", "campaign", "carrier", "cart", "category",
        "cluster", "container", "device", "experiment", "geo", "host", "item", "items", "library",
        "location", "merchant", "message", "network", "node", "order", "org", "organization", "os",
        "page", "parent", "pod", "process", "product", "products", "project", "referrer", "repo",
        "repository", "schema", "screen", "seller", "server", "service", "shop", "site", "source",
        "span", "store", "tenant", "trace", "variant", "vendor"
    }
)
#: Whose own times, names and types are none of the click's.
PEOPLE = frozenset(
    {
        "account", "actor", "customer", "identity", "member", "person", "profile", "session", "traits",
        "user", "visitor"
    }
)
#: What a name that ends as a known one does must not have in it.
NEVER = {
    "user_id": """
        agent type name_ count role status group level lang segment age gender country created time date
        password token
    """,
    "event": """
        version schema uuid source time date count product app device user vendor fingerprint format ts
        id
    """,
    "timestamp": """
        expires expiry expiration birth signup registered lastlogin firstseen lastseen duration timezone
        elapsed timeout ttl offset zone latency lasted runtime tookms timetaken
    """,
    "product_id": """

    """,
}
#: Names of encodings, of databases and of JSON for other types, around a value.
WRAPPERS = frozenset(
    {
        "$date", "$numberLong", "$oid", "string", "long", "int", "double", "S", "N", "stringValue",
        "intValue", "string_value", "int_value", "seconds", "value", "text", "#text", "0"
    }
)
# fmt: on

_SCORES = {
    role: {plain(name): score for score, names in tiers.items() for name in names.split()}
    for role, tiers in NAMES.items()
}
_NEVER = {role: tuple(names.split()) for role, names in NEVER.items()}


def name_score(role: str, names: Sequence[str]) -> int:
    """How well these names, of which each leads into the next, say that here stands this field of a click.

    >>> name_score("user_id", ["context", "traits", "userId"]), name_score("user_id", ["user", "id"])
    (98, 99)
    >>> name_score("event", ["device", "type"]), name_score("timestamp", ["ts", "$date"])
    (0, 92)
    """
    own = list(names)
    while len(own) > 1 and own[-1] in WRAPPERS:
        own.pop()
    own = [name for name in own if not name.isdigit()] or own
    # A flat name may hold the path in it.
    parts = [part for name in own for part in name.strip("@$_").split(".") if part]
    if not parts:
        return 0
    last = plain(parts[-1])
    scores = _SCORES[role]
    longer = [plain("".join(parts[-count:])) for count in (2, 3) if len(parts) >= count]
    score = max((scores.get(name, 0) for name in longer), default=0)
    if not score:
        score = scores.get(last, 0) or _ending(role, last)
        above = plain(parts[-2]) if len(parts) > 1 else ""
        if role != "product_id" and (above in THINGS or (role != "user_id" and above in PEOPLE)):
            score = 0
    return max(0, score - (len(own) - 1 if len(own) > 1 else 0))


def _ending(role: str, name: str) -> int:
    """Of a name that ends with one that is known: something stands before it."""
    if any(word in name for word in _NEVER[role]):
        return 0
    scores = _SCORES[role]
    known = [ending for ending in scores if len(ending) >= 5 and name.endswith(ending)]
    return max((scores[ending] - 12 for ending in known), default=0)
