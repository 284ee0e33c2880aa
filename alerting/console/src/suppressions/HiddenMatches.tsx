import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { hiddenQuery } from '../api/queries';
import { Empty, Failed, Loading, SeverityBadge } from '../app/parts';
import { useTitle } from '../app/titles';
import { UnitName } from '../app/UnitName';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './HiddenMatches.module.css';

/** What a suppression hid, the latest first. */
export function HiddenMatches({ id }: { id: string }) {
  const { t } = useLingui();
  const titleOf = useTitle();
  const list = useInfiniteQuery(hiddenQuery(id));
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className={classes.hidden} aria-label={t`Hidden matches`}>
      {list.isPending && <Loading />}
      {list.error && <Failed error={list.error} retry={() => void list.refetch()} />}
      {list.data && items.length === 0 && (
        <Empty title={t`What was hidden is no longer kept; its number stays.`} />
      )}
      <ol className={classes.list}>
        {items.map((item) => (
          <li key={item.id} data-testid="hidden-match">
            <div className={classes.head}>
              <SeverityBadge severity={item.severity} />
              <Link to="/search" search={{ event: item.event_id, range: '7d' }}>
                <Time at={item.event_time} />
              </Link>
              <b>{titleOf({ title: item.rule_title, title_vi: item.rule_title_vi })}</b>
              <span>
                <UnitName id={item.unit} /> · {plain(item.host)}
              </span>
              {item.event_count > 1 && (
                <span>
                  <Plural value={item.event_count} one="# event" other="# events" />
                </span>
              )}
            </div>
            <div className={classes.raw}>
              <LogText text={item.raw} />
            </div>
          </li>
        ))}
      </ol>
      {list.hasNextPage && (
        <Button
          variant="default"
          size="xs"
          loading={list.isFetchingNextPage}
          onClick={() => void list.fetchNextPage()}
        >
          <Trans>Load more</Trans>
        </Button>
      )}
    </section>
  );
}
